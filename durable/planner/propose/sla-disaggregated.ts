/**
 * SLA mode for prefill and decode workers (semantics §8.2): throughput that the profile gives each kind under the targets,
 * and correction factors for what the profile does not know: prompts found cached, answers that decode slower than alone.
 */

import * as z from 'zod';
import type { Counts } from '../fleet.ts';
import { hasTraffic, type Measured } from '../observe.ts';
import type { Profile } from '../profile.ts';
import type { Demand, Proposal, Targets } from './proposal.ts';

export const FACTORS = z.object({ prefill: z.number(), decode: z.number() });

/** Measured over profiled: TTFT, ITL. */
export type Factors = z.infer<typeof FACTORS>;

export const NO_CORRECTION: Factors = { prefill: 1, decode: 1 };

/** With an interval's measurements; a factor that the interval says nothing of stays. */
export function correctFactors(
  before: Factors,
  measured: Measured,
  { profile, decodeWorkers }: { profile: Profile; decodeWorkers: number },
): Factors {
  if (!hasTraffic(measured)) return before;
  const { requests, elapsedMs, meanInputTokens, meanOutputTokens, meanTtftMs, meanItlMs } = measured;
  const prefill = meanTtftMs / profile.ttftMs(meanInputTokens);
  if (decodeWorkers === 0 || meanItlMs <= 0) return { ...before, prefill };
  const durationMs = meanTtftMs + meanItlMs * meanOutputTokens;
  const concurrency = ((requests / decodeWorkers) * durationMs) / elapsedMs;
  const profiledMs = profile.itlMs(concurrency, meanInputTokens + meanOutputTokens / 2);
  return { prefill, decode: meanItlMs / profiledMs };
}

export interface DisaggregatedParts {
  demand: Demand;
  factors: Factors;
  profile: Profile;
  targets: Targets;
}

export function proposeDisaggregated({ demand, factors, profile, targets }: DisaggregatedParts): Proposal {
  const { requestsPerMs, inputTokens, outputTokens } = demand;
  const counts: Counts = {
    prefill: enough({
      tokensPerSecond: 1000 * requestsPerMs * inputTokens * Math.min(1, factors.prefill),
      perGpu: profile.prefillTokensPerSecondPerGpu(inputTokens),
      profile,
    }),
    decode: enough({
      tokensPerSecond: 1000 * requestsPerMs * outputTokens,
      perGpu: profile.bestDecodeTokensPerSecondPerGpu(
        factors.decode <= 0 ? targets.itlMs : targets.itlMs / factors.decode,
        inputTokens + outputTokens / 2,
      ),
      profile,
    }),
  };
  const because =
    `${(1000 * requestsPerMs).toFixed(2)} requests/s of ${inputTokens.toFixed(0)} and ${outputTokens.toFixed(0)} tokens, ` +
    `factors ${factors.prefill.toFixed(2)} and ${factors.decode.toFixed(2)}`;
  return { kind: 'counts', counts, because };
}

function enough({
  tokensPerSecond,
  perGpu,
  profile,
}: {
  tokensPerSecond: number;
  perGpu: number;
  profile: Profile;
}): number {
  if (tokensPerSecond <= 0) return 0;
  return Math.ceil(tokensPerSecond / perGpu / profile.gpusPerWorker);
}
