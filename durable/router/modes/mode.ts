/** One way to choose a worker. A mode sees only ranks that may serve the request, and at least one. */

import type { CostWeights } from '../cost.ts';
import type { RouteRequest, RouterMode } from '../rpc.ts';
import type { Random } from '../selector.ts';
import type { Model, Rank } from '../workers.ts';

/** What is configured, and chance. */
export interface Policy extends CostWeights {
  mode: RouterMode;
  temperature: number;
  random: Random;
}

export interface Choice {
  rank: Rank;
  /** Prompt blocks that the index says it has; 0 in modes that do not look. */
  overlapBlocks: number;
}

export interface Mode {
  readonly name: RouterMode;
  choose(candidates: readonly Rank[], model: Model, request: RouteRequest, policy: Policy): Choice;
}
