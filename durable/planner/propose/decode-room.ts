/**
 * How often decode workers have no room: requests that come at random are under way in a number that is as good as normal, with the
 * variance of a Poisson process of contexts of unequal length, over the KV memory of all. (Square-root staffing: Halfin and Whitt,
 * 1981.) Who finds no room waits, and that is part of its time to the first token.
 */

import { countOf, type Histogram, meanOf } from '../histogram.ts';
import type { Demand } from './proposal.ts';

export interface RoomParts {
  demand: Demand;
  workers: number;
  /** Milliseconds between two tokens with so many requests of so much context on a worker. */
  itlMs: (concurrency: number, contextTokens: number) => number;
  /** Variance of the contexts over the square of their mean. */
  spread: number;
  /** Of one worker. */
  maxKvTokens: number;
}

const ROUNDS = 8;

/** Share of the time, 0 to 1. */
export function shareWithoutRoom({ demand, workers, itlMs, spread, maxKvTokens }: RoomParts): number {
  const { requestsPerMs, inputTokens, outputTokens } = demand;
  const context = inputTokens + outputTokens / 2;
  if (requestsPerMs <= 0 || context <= 0) return 0;
  // Slower tokens keep requests longer, and more requests make tokens slower: the point where both agree.
  let underWay = requestsPerMs * outputTokens * itlMs(1, context);
  for (let round = 0; round < ROUNDS; round++) {
    underWay = requestsPerMs * outputTokens * itlMs(Math.max(1, underWay / workers), context);
  }
  const deviation = Math.sqrt(underWay * (1 + spread));
  return aboveNormal((workers * maxKvTokens) / context, { mean: underWay, deviation });
}

/** Of the lengths in a histogram, each taken as its bucket's middle. */
export function squaredSpread(histogram: Histogram): number {
  const { bounds, counts } = histogram;
  const count = countOf(histogram);
  const mean = meanOf(histogram);
  if (count === 0 || mean <= 0) return 0;
  const middle = (at: number) =>
    at === bounds.length ? bounds.at(-1)! : ((bounds[at - 1] ?? 0) + bounds[at]!) / 2;
  const square = counts.reduce((sum, each, at) => sum + each * middle(at) ** 2, 0) / count;
  return Math.max(0, square / mean ** 2 - 1);
}

/** Upper tail of a normal distribution (Abramowitz and Stegun 26.2.17, to 1e-7). */
function aboveNormal(value: number, { mean, deviation }: { mean: number; deviation: number }): number {
  if (deviation <= 0) return value > mean ? 0 : 1;
  const z = (value - mean) / deviation;
  const t = 1 / (1 + 0.2316419 * Math.abs(z));
  const series =
    t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  const tail = (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * series;
  return z >= 0 ? tail : 1 - tail;
}
