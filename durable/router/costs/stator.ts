/**
 * Stator's cost, in milliseconds of predicted latency instead of weighted blocks (docs/decisions/0005): what the request
 * would wait for its first token on each worker, what its prompt pushes out of the cache there, and a small part of what
 * its decoding takes and takes from the others.
 *
 *   first token = own prefill + 1.2 · prompts ahead + the decode steps in between
 *   eviction    = own new tokens, which push out as many that somebody will have to compute again
 *   decoding    = output · step + 2 · (own prefill + half of what the steps get longer) for everyone who decodes there
 *   cost        = [first token + eviction + decoding / 26] · τ
 *
 * The times are the worker's own (`engine-timing.ts`). The constants were chosen once over 32 cells of two traces and hold
 * when the times are wrong by a factor of two.
 */

import { prefillWaitMs } from '../prefill-wait.ts';
import type { CostInputs, CostRule } from './cost-rule.ts';

/** A busy worker's wait is longer than its prompts: others come meanwhile. */
const WAIT_RISK = 1.2;
const DECODING = 1 / 26;
const OTHERS = 2;

export const stator: CostRule = {
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
      costs[i] = latencyMs(inputs, i, tokens) * inputs.preference[i]!;
    }
  },
};

/** On candidate `i`, which has to compute so many tokens of the prompt; none: only the decoding counts. */
function latencyMs(
  { ranks, nowMs, decodeBlocks, ownBlocks, outputTokens }: CostInputs,
  i: number,
  tokens: number,
) {
  const rank = ranks[i]!;
  const { timing, activeRequests, prefillTokens } = rank;
  const { maxNumBatchedTokens, totalKvBlocks } = rank.worker.registration;
  const others = decodeBlocks[i]! - ownBlocks[i]!;
  const stepBeforeMs = timing.stepMs(others / totalKvBlocks);
  const stepMs = timing.stepMs((others + ownBlocks[i]!) / totalKvBlocks);
  const longerMs = (stepMs - stepBeforeMs) * outputTokens * 0.5;
  if (tokens === 0) return outputTokens * stepMs + OTHERS * longerMs * activeRequests;
  // Prompts may share passes with those ahead of them.
  const all = prefillTokens + tokens;
  const prefillMs =
    timing.prefillMs(all, maxNumBatchedTokens) - timing.prefillMs(prefillTokens, maxNumBatchedTokens);
  const passes = activeRequests === 0 ? 0 : Math.ceil(all / maxNumBatchedTokens) + 0.5;
  const firstTokenMs = prefillMs + WAIT_RISK * prefillWaitMs(rank, nowMs) + passes * stepBeforeMs;
  const evictionMs = timing.tokenMs * tokens;
  const decodingMs = outputTokens * stepMs + OTHERS * (prefillMs + longerMs) * activeRequests;
  return firstTokenMs + evictionMs + decodingMs * DECODING;
}
