/**
 * Correction factors of the SLA mode for workers that do all: what was seen over what the profile and the formula for
 * waiting say. Ratios of sums that fade, so that an interval counts by its requests and a strange one is soon forgotten.
 */

import * as z from 'zod';
import { countOf, faded, HISTOGRAM, shareAbove } from '../histogram.ts';
import { hasTraffic, type Measured } from '../observe.ts';
import type { Profile } from '../profile.ts';
import type { Targets } from './proposal.ts';
import { serviceTimes } from './service-times.ts';
import { formulaWait } from './waiting.ts';

export const CALIBRATION = z.object({
  /** Prompt tokens that had to be computed, of late. */
  computedTokens: HISTOGRAM,
  /** Sums over requests: tokens of prompts, milliseconds waited, the same by the formula, answers slower than the target. */
  inputTokens: z.number(),
  requests: z.number(),
  waitedMs: z.number(),
  formulaMs: z.number(),
  slowAnswers: z.number(),
});

export type Calibration = z.infer<typeof CALIBRATION>;

/** What is left of the sums after an interval. */
const KEPT = 0.85;
/** The factors begin at 1 with this weight, in milliseconds waited by all. */
const PRIOR_MS = 500;
const LEAST_FACTOR = 0.05;
const GREATEST_FACTOR = 20;

/** With an interval's measurements; unchanged by an interval without traffic. */
export function calibrate(
  before: Calibration | null,
  measured: Measured,
  { profile, targets }: { profile: Profile; targets: Targets },
): Calibration | null {
  if (!hasTraffic(measured)) return before;
  const computedTokens =
    before === null ? measured.computedTokens : faded(before.computedTokens, KEPT, measured.computedTokens);
  const kept: Omit<Calibration, 'computedTokens'> = {
    inputTokens: KEPT * (before?.inputTokens ?? 0) + measured.requests * measured.meanInputTokens,
    requests: KEPT * (before?.requests ?? 0) + measured.requests,
    waitedMs: KEPT * (before?.waitedMs ?? 0),
    formulaMs: KEPT * (before?.formulaMs ?? 0),
    slowAnswers: KEPT * (before?.slowAnswers ?? 0),
  };
  const times = serviceTimes(measured.computedTokens, profile);
  const begun = countOf(measured.ttftMs);
  const perWorker = measured.requests / measured.elapsedMs / Math.max(measured.meanWorkers, 1e-9);
  const formulaMs = times === null ? Number.POSITIVE_INFINITY : formulaWait(times, perWorker).meanMs;
  // Full workers wait for as long as they have been full: that says nothing of a larger fleet.
  if (times === null || formulaMs === Number.POSITIVE_INFINITY) return { computedTokens, ...kept };
  return {
    computedTokens,
    ...kept,
    waitedMs: kept.waitedMs + begun * Math.max(0, measured.meanTtftMs - times.meanMs),
    formulaMs: kept.formulaMs + begun * formulaMs,
    slowAnswers: kept.slowAnswers + begun * shareAbove(measured.itlMs, targets.itlMs),
  };
}

/** Measured wait over the formula's. */
export function waitFactor({ waitedMs, formulaMs }: Calibration): number {
  const factor = (waitedMs + PRIOR_MS) / (formulaMs + PRIOR_MS);
  return Math.min(Math.max(factor, LEAST_FACTOR), GREATEST_FACTOR);
}

/** Share of the answers slower than the target, per millisecond of the formula's wait: both come of prompts in the way. */
export const slowPerWaitMs = ({ slowAnswers, formulaMs }: Calibration): number =>
  slowAnswers / (formulaMs + PRIOR_MS);

/** Share of the prompt tokens that must be computed. */
export function computedShare({ computedTokens, inputTokens }: Calibration): number {
  return inputTokens <= 0 ? 1 : Math.min(1, computedTokens.sum / inputTokens);
}
