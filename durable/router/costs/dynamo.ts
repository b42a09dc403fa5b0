/**
 * Dynamo's cost (semantics §1.3), in KV blocks: prefill still to compute on the worker if the request went there, less
 * credit for what it has cached, plus the blocks it would hold.
 *
 *   credit = C · decay · device + W_host · host + W_disk · disk + M · shared
 *   cost   = [S · max((P + prompt) / block − credit, 0) + D + A · R] · τ
 *
 * The clamp is on the sum, so what a busy worker has cached also offsets its queue. Decode workers that are chosen by what
 * they have cached compute no prompt: there the credit offsets D.
 */

import type { CostWeights } from '../policy.ts';
import type { CostInputs, CostRule } from './cost-rule.ts';

export const dynamo: CostRule = {
  name: 'dynamo',
  price(inputs, weights, costs) {
    const { count, promptTokens, blockSizeTokens, tracksPrefill, role } = inputs;
    const { overlapScoreCredit, hostCacheHitWeight, diskCacheHitWeight, sharedCacheMultiplier } = weights;
    const { device, host, disk, sharedBeyond, prefillTokens, decodeBlocks, activeRequests, preference } =
      inputs;
    const decays = weights.overlapScoreCreditDecay > 0 && tracksPrefill;
    const idlest = decays ? lowest(prefillTokens, count) : 0;
    const requestBlocks = Math.max(Math.ceil(promptTokens / blockSizeTokens), 1);
    for (let i = 0; i < count; i++) {
      let deviceCredit = overlapScoreCredit * device[i]!;
      if (decays) {
        const busier = (prefillTokens[i]! - idlest) / blockSizeTokens / requestBlocks;
        deviceCredit /= 1 + weights.overlapScoreCreditDecay * busier;
      }
      const credit =
        deviceCredit +
        hostCacheHitWeight * host[i]! +
        diskCacheHitWeight * disk[i]! +
        sharedCacheMultiplier * sharedBeyond[i]!;
      const rawBlocks = tracksPrefill ? (prefillTokens[i]! + promptTokens) / blockSizeTokens : 0;
      const offsetsDecode = role === 'decode' && !tracksPrefill;
      const work = offsetsDecode
        ? Math.max(decodeBlocks[i]! - credit, 0)
        : weights.prefillLoadScale * Math.max(rawBlocks - credit, 0) + decodeBlocks[i]!;
      costs[i] = (work + weights.decodeActiveRequestWeight * activeRequests[i]!) * preference[i]!;
    }
  },
};

function lowest(values: CostInputs['prefillTokens'], count: number): number {
  let least = values[0]!;
  for (let i = 1; i < count; i++) least = Math.min(least, values[i]!);
  return least;
}

/** Prompt tokens that a worker need not compute, as the reservation counts them. */
export function cachedTokens(
  blocks: { device: number; host: number; disk: number },
  weights: CostWeights,
  blockSizeTokens: number,
): number {
  const effective =
    blocks.device + weights.hostCacheHitWeight * blocks.host + weights.diskCacheHitWeight * blocks.disk;
  return Math.max(Math.round(effective * blockSizeTokens), 0);
}
