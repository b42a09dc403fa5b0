/**
 * SLA mode for prefill and decode workers (semantics §8.2): throughput that the profile gives each kind under the targets,
 * and correction factors for what the profile does not know: prompts found cached, answers that decode slower than alone.
 *
 * Throughput is met on average; requests come as they please. So, beyond Dynamo's formulas: prefill workers are enough for all but
 * `lossShare` of the prompts to begin in time (`waiting.ts`), and decode workers have room for all but that share of the
 * moments (`decode-room.ts`). docs/decisions/0023 has what each is worth.
 */

import * as z from 'zod';
import type { Counts } from '../fleet.ts';
import { hasTraffic, type Measured } from '../observe.ts';
import type { Profile } from '../profile.ts';
import { type Calibration, computedShare, waitFactor } from './calibration.ts';
import { shareWithoutRoom, squaredSpread } from './decode-room.ts';
import type { Demand, Proposal, Targets } from './proposal.ts';
import { serviceTimes } from './service-times.ts';
import { formulaWait, missedByWaiting } from './waiting.ts';

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
  /** Null: no traffic was measured yet. */
  calibration: Calibration | null;
  lossShare: number;
  corrected: boolean;
  /** More are never proposed. */
  max: { prefill: number; decode: number };
}

export function proposeDisaggregated(parts: DisaggregatedParts): Proposal {
  const { demand, factors, profile, targets } = parts;
  const { requestsPerMs, inputTokens, outputTokens } = demand;
  const counts: Counts = {
    prefill: prefillInTime(
      parts,
      enough({
        tokensPerSecond: 1000 * requestsPerMs * inputTokens * Math.min(1, factors.prefill),
        perGpu: profile.prefillTokensPerSecondPerGpu(inputTokens),
        profile,
      }),
    ),
    decode: decodeWithRoom(
      parts,
      enough({
        tokensPerSecond: 1000 * requestsPerMs * outputTokens,
        perGpu: profile.bestDecodeTokensPerSecondPerGpu(
          factors.decode <= 0 ? targets.itlMs : targets.itlMs / factors.decode,
          inputTokens + outputTokens / 2,
        ),
        profile,
      }),
    ),
  };
  const because =
    `${(1000 * requestsPerMs).toFixed(2)} requests/s of ${inputTokens.toFixed(0)} and ${outputTokens.toFixed(0)} tokens, ` +
    `factors ${factors.prefill.toFixed(2)} and ${factors.decode.toFixed(2)}`;
  return { kind: 'counts', counts, because };
}

/** The fewest, from `least` on, that lose no more of the prompts to waiting than may be lost. */
function prefillInTime(
  { demand, calibration, profile, targets, lossShare, corrected, max }: DisaggregatedParts,
  least: number,
): number {
  if (calibration === null || least === 0) return least;
  const computed = demand.inputTokens * computedShare(calibration);
  const times = serviceTimes(calibration.computedTokens, profile, computed);
  if (times === null) return least;
  const factor = corrected ? waitFactor(calibration) : 1;
  let workers = least;
  for (; workers < max.prefill; workers++) {
    const { busy, meanMs } = formulaWait(times, demand.requestsPerMs / workers);
    if (missedByWaiting(times, { busy, meanMs: factor * meanMs }, targets.ttftMs) <= lossShare) break;
  }
  return workers;
}

function decodeWithRoom(
  { demand, calibration, factors, profile, lossShare, max }: DisaggregatedParts,
  least: number,
): number {
  if (calibration === null) return least;
  const itlMs = (concurrency: number, contextTokens: number) =>
    Math.max(factors.decode, 0) * profile.itlMs(concurrency, contextTokens) ||
    profile.itlMs(concurrency, contextTokens);
  const spread = squaredSpread(calibration.computedTokens);
  let workers = least;
  while (workers > 0 && workers < max.decode) {
    if (shareWithoutRoom({ demand, workers, itlMs, spread, maxKvTokens: profile.maxKvTokens }) <= lossShare)
      break;
    workers++;
  }
  return workers;
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
