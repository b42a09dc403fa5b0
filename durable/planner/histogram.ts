/**
 * Histograms as metrics sources give them: counts per bucket since the source began, so that the difference of two is
 * what happened between. Cumulative sums ("le" buckets) are taken apart before they come here.
 */

import * as z from 'zod';
import { LIMITS } from '../runtime/limits.ts';

export const HISTOGRAM = z.object({
  /** Upper ends of the buckets, rising; one more bucket above has the rest. */
  bounds: z.array(z.number()).max(LIMITS.plannerHistogramBounds),
  /** `bounds.length + 1` counts. */
  counts: z.array(z.number()).max(LIMITS.plannerHistogramBounds + 1),
  sum: z.number(),
});

export type Histogram = z.infer<typeof HISTOGRAM>;

export const emptyHistogram = (bounds: readonly number[]): Histogram => ({
  bounds: [...bounds],
  counts: new Array<number>(bounds.length + 1).fill(0),
  sum: 0,
});

/** Counts a value in place. */
export function addValue(histogram: Histogram, value: number): void {
  const { bounds, counts } = histogram;
  let at = 0;
  while (at < bounds.length && value > bounds[at]!) at++;
  counts[at]!++;
  histogram.sum += value;
}

export const countOf = ({ counts }: Histogram): number => counts.reduce((sum, count) => sum + count, 0);

/** Of all values; 0 without any. */
export function meanOf(histogram: Histogram): number {
  const count = countOf(histogram);
  return count === 0 ? 0 : histogram.sum / count;
}

/** Share of the values above `limit`; within a bucket they count as spread evenly. 0 without any. */
export function shareAbove(histogram: Histogram, limit: number): number {
  const { bounds, counts } = histogram;
  const count = countOf(histogram);
  if (count === 0) return 0;
  let above = 0;
  for (let at = 0; at < counts.length; at++) {
    const from = at === 0 ? 0 : bounds[at - 1]!;
    const to = bounds[at] ?? Number.POSITIVE_INFINITY;
    if (limit <= from) above += counts[at]!;
    else if (limit < to && to !== Number.POSITIVE_INFINITY)
      above += (counts[at]! * (to - limit)) / (to - from);
  }
  return above / count;
}

/** What was added between two readings; null when they are not of one histogram, or it was reset between them. */
export function addedBetween(before: Histogram, after: Histogram): Histogram | null {
  const sameBounds =
    before.bounds.length === after.bounds.length &&
    before.bounds.every((bound, at) => bound === after.bounds[at]);
  if (!sameBounds || before.counts.length !== after.counts.length) return null;
  const counts = after.counts.map((count, at) => count - before.counts[at]!);
  const sum = after.sum - before.sum;
  if (counts.some((count) => count < 0) || sum < 0) return null;
  return { bounds: after.bounds, counts, sum };
}

/** `share` of the one and all of the other: what is remembered fades. */
export function faded(kept: Histogram, share: number, added: Histogram): Histogram {
  if (kept.counts.length !== added.counts.length) return added;
  return {
    bounds: added.bounds,
    counts: added.counts.map((count, at) => count + share * kept.counts[at]!),
    sum: added.sum + share * kept.sum,
  };
}
