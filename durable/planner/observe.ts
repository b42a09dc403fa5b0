/**
 * Observe: what happened between two readings of the metrics, as data.
 *
 * An interval without requests is demand zero, not a missing measurement. What cannot be trusted is `held`, with the reason,
 * and changes nothing; the next reading is compared with the newest one that was sound in itself, so that one bad
 * reading costs one interval and no chain of them can freeze the planner: it is always compared anew.
 */

import { LIMITS } from '../runtime/limits.ts';
import { addedBetween, countOf, type Histogram, meanOf } from './histogram.ts';
import { METRICS, type Metrics } from './metrics.ts';

/** `missing`: no reading came. `first`: nothing to compare with. `late`: not newer than the last. `unsound`: NaN, negative or
 * not metrics at all. `reset`: the source began anew. `gap`: so long ago that it says nothing of now. */
const HELD_REASONS = ['missing', 'first', 'late', 'unsound', 'reset', 'gap'] as const;

export type HeldReason = (typeof HELD_REASONS)[number];

export interface Measured {
  kind: 'measured';
  elapsedMs: number;
  requests: number;
  /** Tokens; 0 without requests. */
  meanInputTokens: number;
  meanOutputTokens: number;
  meanComputedTokens: number;
  /** Milliseconds; 0 where nothing was measured. */
  meanTtftMs: number;
  meanItlMs: number;
  meanWorkers: number;
  waiting: number;
  computedTokens: Histogram;
  ttftMs: Histogram;
  outputTokens: Histogram;
  itlMs: Histogram;
}

export type Observation = Measured | { kind: 'held'; why: HeldReason };

export interface Observed {
  observation: Observation;
  /** What the next reading is compared with. */
  baseline: Metrics | null;
}

/** `reading` is what came, whatever it is; null when nothing did. */
export function observe(baseline: Metrics | null, reading: unknown, intervalMs: number): Observed {
  const hold = (why: HeldReason, next: Metrics | null): Observed => ({
    observation: { kind: 'held', why },
    baseline: next,
  });
  if (reading === null || reading === undefined) return hold('missing', baseline);
  const metrics = soundMetrics(reading);
  if (metrics === null) return hold('unsound', baseline);
  if (baseline === null) return hold('first', metrics);
  const elapsedMs = metrics.atMs - baseline.atMs;
  // A source whose clock jumped back stays "late" for ever unless what it says now becomes the measure.
  if (elapsedMs <= 0) return hold('late', elapsedMs < -intervalMs ? metrics : baseline);
  if (elapsedMs > LIMITS.plannerGapIntervals * intervalMs) return hold('gap', metrics);
  const observation = difference(baseline, metrics);
  return observation === null ? hold('reset', metrics) : { observation, baseline: metrics };
}

function soundMetrics(reading: unknown): Metrics | null {
  const parsed = METRICS.safeParse(reading);
  if (!parsed.success) return null;
  const { data } = parsed;
  const histograms = [data.computedTokens, data.ttftMs, data.outputTokens, data.itlMs];
  const isWhole = histograms.every(({ bounds, counts }) => {
    const rises = bounds.every((bound, at) => at === 0 || bound > bounds[at - 1]!);
    return rises && counts.length === bounds.length + 1;
  });
  const counts = [data.arrived, data.inputTokens, data.workerMs, data.waiting];
  return isWhole && counts.every((count) => count >= 0) ? data : null;
}

/** Null when a counter went backwards. */
function difference(before: Metrics, after: Metrics): Measured | null {
  const requests = after.arrived - before.arrived;
  const inputTokens = after.inputTokens - before.inputTokens;
  const workerMs = after.workerMs - before.workerMs;
  const computedTokens = addedBetween(before.computedTokens, after.computedTokens);
  const ttftMs = addedBetween(before.ttftMs, after.ttftMs);
  const outputTokens = addedBetween(before.outputTokens, after.outputTokens);
  const itlMs = addedBetween(before.itlMs, after.itlMs);
  if (requests < 0 || inputTokens < 0 || workerMs < 0) return null;
  if (computedTokens === null || ttftMs === null || outputTokens === null || itlMs === null) return null;
  const elapsedMs = after.atMs - before.atMs;
  return {
    kind: 'measured',
    elapsedMs,
    requests,
    meanInputTokens: requests === 0 ? 0 : inputTokens / requests,
    meanOutputTokens: meanOf(outputTokens),
    meanComputedTokens: meanOf(computedTokens),
    meanTtftMs: meanOf(ttftMs),
    meanItlMs: meanOf(itlMs),
    meanWorkers: workerMs / elapsedMs,
    waiting: after.waiting,
    computedTokens,
    ttftMs,
    outputTokens,
    itlMs,
  };
}

/** Something came or ended: lengths and times of the interval mean something. */
export const hasTraffic = ({ requests, ttftMs }: Measured): boolean => requests > 0 && countOf(ttftMs) > 0;
