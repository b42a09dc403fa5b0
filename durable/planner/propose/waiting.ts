/**
 * How long a request waits for a worker that is busy with prompts: Pollaczek and Khinchin's formula for one worker's share
 * of the requests, times what was seen of the real fleet. Requests come in bursts and a router steers around busy workers,
 * so that the true wait is 0.2 to 1.6 times the formula's on the traces (docs/decisions/0020); the factor moves slowly
 * with the number of workers, so one measured at this size holds near it.
 */

import type { ServiceTimes } from './service-times.ts';

/** Share of its time that a worker may spend on prompts; above, waits have no end. */
const FULL = 0.9;

export interface Waiting {
  /** Share of a worker's time. */
  busy: number;
  meanMs: number;
}

/** `requestsPerMs` of one worker. Infinite where the worker is full. */
export function formulaWait({ meanMs, meanSquareMs2 }: ServiceTimes, requestsPerMs: number): Waiting {
  const busy = requestsPerMs * meanMs;
  if (busy >= FULL) return { busy, meanMs: Number.POSITIVE_INFINITY };
  return { busy, meanMs: (requestsPerMs * meanSquareMs2) / (2 * (1 - busy)) };
}

/**
 * Share of the requests that keep a TTFT when they need not wait, and miss it because they must. Who waits, waits half a
 * prompt's time stretched by the load, exponentially; how many wait follows from the mean.
 */
export function missedByWaiting(times: ServiceTimes, { busy, meanMs }: Waiting, ttftMs: number): number {
  if (meanMs === Number.POSITIVE_INFINITY) return 1;
  if (meanMs <= 0) return 0;
  const whoWaitsMs = times.meanMs / 2 / (1 - busy);
  const waits = Math.min(1, meanMs / whoWaitsMs);
  const scaleMs = meanMs / waits;
  return times.points.reduce(
    (sum, { ms, weight }) => sum + (ms > ttftMs ? 0 : weight * waits * Math.exp(-(ttftMs - ms) / scaleMs)),
    0,
  );
}
