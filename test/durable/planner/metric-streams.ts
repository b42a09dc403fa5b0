/** Metric streams for the planner's tests: sound ones of known demand, and readings that are wrong in every way. */

import { addValue, emptyHistogram } from '../../../durable/planner/histogram.ts';
import type { Metrics } from '../../../durable/planner/metrics.ts';
import type { GridProfile } from '../../../durable/runtime/profile/profile-tables.ts';

const BOUNDS = Array.from({ length: 40 }, (_, i) => 2 ** (i / 2));

export interface Interval {
  requests: number;
  inputTokens: number;
  outputTokens: number;
  ttftMs: number;
  itlMs: number;
  workers: number;
}

export const BUSY_INTERVAL: Interval = {
  requests: 1_200,
  inputTokens: 2_000,
  outputTokens: 100,
  ttftMs: 60,
  itlMs: 12,
  workers: 4,
};
export const IDLE_INTERVAL: Interval = { ...BUSY_INTERVAL, requests: 0 };

/** Counters that a source would keep. */
export class MetricSource {
  readonly #totals: Metrics = {
    atMs: 0,
    arrived: 0,
    inputTokens: 0,
    workerMs: 0,
    waiting: 0,
    computedTokens: emptyHistogram(BOUNDS),
    ttftMs: emptyHistogram(BOUNDS),
    outputTokens: emptyHistogram(BOUNDS),
    itlMs: emptyHistogram(BOUNDS),
    engines: {},
  };

  /** Time passes with so many requests, all alike. */
  pass(
    elapsedMs: number,
    { requests, inputTokens, outputTokens, ttftMs, itlMs, workers }: Interval,
  ): Metrics {
    const totals = this.#totals;
    totals.atMs += elapsedMs;
    totals.arrived += requests;
    totals.inputTokens += requests * inputTokens;
    totals.workerMs += elapsedMs * workers;
    for (let i = 0; i < requests; i++) {
      addValue(totals.computedTokens, inputTokens);
      addValue(totals.ttftMs, ttftMs);
      addValue(totals.outputTokens, outputTokens);
      addValue(totals.itlMs, itlMs);
    }
    return structuredClone(totals);
  }
}

/** An engine of 10 ms and 0.02 ms a prompt token, 10 ms a decode step that doubles with full memory. */
export const PROFILE: GridProfile = (() => {
  const inputTokens = [1, 1_000, 10_000, 100_000];
  const ttftMs = inputTokens.map((tokens) => 10 + 0.02 * tokens);
  const kvUsage = [0, 0.25, 0.5, 0.75, 1];
  const contextTokens = [100, 1_000, 10_000];
  const itl = (usage: number) => 10 * (1 + usage);
  return {
    prefill: {
      inputTokens,
      ttftMs,
      tokensPerSecondPerGpu: inputTokens.map((tokens, i) => (1000 * tokens) / ttftMs[i]!),
    },
    decode: {
      maxKvTokens: 100_000,
      kvUsage,
      contextTokens,
      itlMs: kvUsage.map((usage) => contextTokens.map(() => itl(usage))),
      tokensPerSecondPerGpu: kvUsage.map((usage) =>
        contextTokens.map((context) => (1000 * Math.max(1, (usage * 100_000) / context)) / itl(usage)),
      ),
    },
  };
})();
