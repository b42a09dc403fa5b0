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
    const { tracksPrefill, role, isNeutral } = inputs;
    const decays = weights.overlapScoreCreditDecay > 0;
    if (isNeutral && tracksPrefill && !decays) priceOrdinary(inputs, weights, costs);
    else price(inputs, weights, costs, { decays: decays && tracksPrefill, isDecode: role === 'decode' });
  },
};

/** The formula with nothing below the device, no preference and no decay: what nearly every decision is. */
function priceOrdinary(inputs: CostInputs, weights: CostWeights, costs: Float64Array): void {
  const { count, promptTokens, blockSizeTokens } = inputs;
  const { device, prefillTokens, decodeBlocks, activeRequests } = inputs;
  const { overlapScoreCredit, prefillLoadScale, decodeActiveRequestWeight } = weights;
  for (let i = 0; i < count; i++) {
    const blocks = (prefillTokens[i]! + promptTokens) / blockSizeTokens - overlapScoreCredit * device[i]!;
    const prefill = blocks > 0 ? prefillLoadScale * blocks : 0;
    costs[i] = prefill + decodeBlocks[i]! + decodeActiveRequestWeight * activeRequests[i]!;
  }
}

function price(
  inputs: CostInputs,
  weights: CostWeights,
  costs: Float64Array,
  { decays, isDecode }: { decays: boolean; isDecode: boolean },
): void {
  const { count, promptTokens, blockSizeTokens, tracksPrefill } = inputs;
  const idlest = decays ? lowest(inputs.prefillTokens, count) : 0;
  const requestBlocks = Math.max(Math.ceil(promptTokens / blockSizeTokens), 1);
  for (let i = 0; i < count; i++) {
    const prefillTokens = inputs.prefillTokens[i]!;
    const busier = decays ? (prefillTokens - idlest) / blockSizeTokens / requestBlocks : 0;
    const decay = 1 / (1 + weights.overlapScoreCreditDecay * busier);
    const credit =
      weights.overlapScoreCredit * decay * inputs.device[i]! +
      weights.hostCacheHitWeight * inputs.host[i]! +
      weights.diskCacheHitWeight * inputs.disk[i]! +
      weights.sharedCacheMultiplier * inputs.sharedBeyond[i]!;
    const rawBlocks = tracksPrefill ? (prefillTokens + promptTokens) / blockSizeTokens : 0;
    const decodeBlocks = inputs.decodeBlocks[i]!;
    const work =
      isDecode && !tracksPrefill
        ? Math.max(decodeBlocks - credit, 0)
        : weights.prefillLoadScale * Math.max(rawBlocks - credit, 0) + decodeBlocks;
    const requests = weights.decodeActiveRequestWeight * inputs.activeRequests[i]!;
    costs[i] = (work + requests) * inputs.preference[i]!;
  }
}

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
