/** How much of a prompt the best of some ranks has: what the queue takes off the prompt's length (semantics §1.7). */

import type { RouteRequest } from '../rpc.ts';
import type { Model, Rank } from '../workers.ts';

interface TierWeights {
  hostCacheHitWeight: number;
  diskCacheHitWeight: number;
}

export function bestCachedTokens(
  model: Model,
  { blockHashes, promptTokens }: RouteRequest,
  ranks: readonly Rank[],
  weights: TierWeights,
): number {
  const { device, host, disk } = model.index.find(blockHashes);
  let best = 0;
  for (const { slot } of ranks) {
    const lower =
      weights.hostCacheHitWeight * (host[slot] ?? 0) + weights.diskCacheHitWeight * (disk[slot] ?? 0);
    best = Math.max(best, (device[slot] ?? 0) + lower);
  }
  return Math.min(Math.round(best * model.blockSizeTokens), promptTokens);
}
