/**
 * A cost rule says what it costs to send a request to each worker; the lowest wins (`selector.ts`). Rules see all
 * candidates at once, one array per quantity, so that a rule can compare workers and allocates nothing.
 */

import type { CostWeights } from '../policy.ts';
import type { RouterRole } from '../rpc.ts';
import type { Rank } from '../workers.ts';

/** The first `count` entries of each array are the candidates of this decision; the arrays are longer. */
export interface CostInputs {
  count: number;
  ranks: readonly Rank[];
  nowMs: number;
  /** The request's side. */
  promptTokens: number;
  /** Expected length of the answer. */
  outputTokens: number;
  blockSizeTokens: number;
  /** Undefined: one worker does both phases. */
  role: RouterRole | undefined;
  /** False: prompts cost nothing here (decode workers). */
  tracksPrefill: boolean;
  /** `host`, `disk` and `sharedBeyond` are 0 and `preference` is 1 for all. */
  isNeutral: boolean;
  /** Leading prompt blocks on the device: dev(w); then further ones in host memory and on disk. */
  device: Float64Array;
  host: Float64Array;
  disk: Float64Array;
  /** Prompt blocks past those on the device that the external shared cache has. */
  sharedBeyond: Float64Array;
  /** Prompt tokens of requests without a first token, cached ones excluded: P(w). */
  prefillTokens: Float64Array;
  /** Unique active blocks if this request went there: D(w). */
  decodeBlocks: Float64Array;
  /** Of those, the ones that only this request would add. */
  ownBlocks: Float64Array;
  /** R(w) */
  activeRequests: Float64Array;
  /** Factor by the taints that the request prefers: τ(w); 1 without. */
  preference: Float64Array;
}

export interface CostRule {
  readonly name: string;
  /** Writes the first `count` costs. Any unit; lower is better, never below 0. */
  price(inputs: CostInputs, weights: CostWeights, costs: Float64Array): void;
}
