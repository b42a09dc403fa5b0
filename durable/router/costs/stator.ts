/**
 * Stator's cost, in milliseconds of predicted latency instead of weighted blocks (docs/decisions/0006): what the request
 * would wait for its first token on each worker, what its prompt pushes out of the cache there, and a small part of what
 * its decoding takes and takes from the others.
 *
 *   first token = own prefill + 1.2 · prompts ahead + the decode steps in between
 *   eviction    = 1.5 · own new tokens, which push out as many that somebody will have to compute again
 *   decoding    = output · step + 2 · (own prefill + half of what the steps get longer) for everyone who decodes there
 *   cost        = [first token + eviction + decoding / 64] · τ
 *
 * The times are the model's own (`engine-timing.ts`). The constants were chosen once over 32 cells of two traces and hold
 * when the times are wrong by a factor of two.
 */

import { prefillWaitMs } from '../prefill-wait.ts';
import type { CostInputs, CostRule } from './cost-rule.ts';

interface StatorConstants {
  /** A busy worker's wait is longer than its prompts: others come meanwhile. */
  waitRisk: number;
  /** Times the computing of the tokens that are pushed out. */
  eviction: number;
  /** Of decoding, beside a first token. */
  decoding: number;
  /** A delay of somebody else, beside one's own. */
  others: number;
}

export const STATOR_CONSTANTS: StatorConstants = {
  waitRisk: 1.2,
  eviction: 1.5,
  decoding: 1 / 64,
  others: 2,
};

/** Other constants are for `bench:policy --ablate`. */
export const statorRule = (constants: StatorConstants): CostRule => ({
  name: 'stator',
  price(inputs, weights, costs) {
    const { count, promptTokens, blockSizeTokens, tracksPrefill, isNeutral } = inputs;
    const { hostCacheHitWeight, diskCacheHitWeight, sharedCacheMultiplier } = weights;
    for (let i = 0; i < count; i++) {
      let cachedBlocks = inputs.device[i]!;
      if (!isNeutral) {
        cachedBlocks +=
          hostCacheHitWeight * inputs.host[i]! +
          diskCacheHitWeight * inputs.disk[i]! +
          sharedCacheMultiplier * inputs.sharedBeyond[i]!;
      }
      const tokens = tracksPrefill ? Math.max(promptTokens - cachedBlocks * blockSizeTokens, 1) : 0;
      costs[i] = latencyMs(constants, inputs, i, tokens) * inputs.preference[i]!;
    }
  },
});

export const stator = statorRule(STATOR_CONSTANTS);

/** On candidate `i`, which has to compute so many tokens of the prompt; none: only the decoding counts. */
function latencyMs(
  { waitRisk, eviction, decoding, others }: StatorConstants,
  { ranks, nowMs, decodeBlocks, ownBlocks, outputTokens }: CostInputs,
  i: number,
  tokens: number,
) {
  const rank = ranks[i]!;
  const { timing, activeRequests, prefillTokens } = rank;
  const { maxNumBatchedTokens, totalKvBlocks } = rank.worker.registration;
  const otherBlocks = decodeBlocks[i]! - ownBlocks[i]!;
  const stepBeforeMs = timing.stepMs(otherBlocks, totalKvBlocks);
  const stepMs = timing.stepMs(decodeBlocks[i]!, totalKvBlocks);
  const longerMs = (stepMs - stepBeforeMs) * outputTokens * 0.5;
  if (tokens === 0) return outputTokens * stepMs + others * longerMs * activeRequests;
  // Prompts may share passes with those ahead of them.
  const all = prefillTokens + tokens;
  const prefillMs =
    timing.prefillMs(all, maxNumBatchedTokens) - timing.prefillMs(prefillTokens, maxNumBatchedTokens);
  const passes = activeRequests === 0 ? 0 : Math.ceil(all / maxNumBatchedTokens) + 0.5;
  const firstTokenMs = prefillMs + waitRisk * prefillWaitMs(rank, nowMs) + passes * stepBeforeMs;
  const evictionMs = eviction * timing.tokenMs * tokens;
  const decodingMs = outputTokens * stepMs + others * (prefillMs + longerMs) * activeRequests;
  return firstTokenMs + evictionMs + decodingMs * decoding;
}
