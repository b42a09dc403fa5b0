/** How much of a prompt the best of some ranks has: what the queue takes off the prompt's length (semantics §1.7). */

import { cachedTokens } from '../costs/dynamo.ts';
import type { CostWeights } from '../policy.ts';
import type { RouteRequest } from '../rpc.ts';
import type { Model, Rank } from '../workers.ts';

export function bestCachedTokens(
  model: Model,
  { blockHashes, promptTokens }: RouteRequest,
  ranks: readonly Rank[],
  weights: CostWeights,
): number {
  const match = model.index.find(blockHashes);
  let best = 0;
  for (const { slot } of ranks) {
    const [device, host, disk] = [match.device[slot] ?? 0, match.host[slot] ?? 0, match.disk[slot] ?? 0];
    best = Math.max(best, cachedTokens({ device, host, disk }, weights, model.blockSizeTokens));
  }
  return Math.min(best, promptTokens);
}
