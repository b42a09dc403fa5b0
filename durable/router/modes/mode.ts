/** One way to choose a worker. A mode sees only ranks that may serve the request, and at least one. */

import type { Policy } from '../policy.ts';
import type { CandidateCost, LocalReason, RouteRequest, RouterMode } from '../rpc.ts';
import type { Model, Rank } from '../workers.ts';

export interface Choice {
  rank: Rank;
  /** Prompt blocks that the index says it has on its device; 0 in modes that do not look. */
  overlapBlocks: number;
  /** Prompt tokens that it need not compute, as estimated. */
  cachedTokens: number;
  /** Who computes the prompt for it; absent: the rank itself. */
  prefill?: Choice;
  /** Why it does, where others might. */
  stays?: LocalReason;
}

export interface Mode {
  readonly name: RouterMode;
  choose(
    candidates: readonly Rank[],
    model: Model,
    request: RouteRequest,
    policy: Policy,
    nowMs: number,
  ): Choice;
  /** What the candidates of the decision just made were judged by, in their order; absent where nothing is weighed. */
  table?(): CandidateCost[];
}

/** Where the prompt waits for those ahead of it. */
export const prefillRank = ({ rank, prefill }: Choice): Rank => prefill?.rank ?? rank;

/** A choice that looked at no cache. */
export const blind = (rank: Rank): Choice => ({ rank, overlapBlocks: 0, cachedTokens: 0 });
