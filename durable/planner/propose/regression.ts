/**
 * A line through few samples of many: at most 64, spread over 16 buckets of the argument, the newest of each bucket kept
 * (semantics §8.4), so that a long quiet time does not push out what little is known of heavy passes.
 */

import * as z from 'zod';

const BUCKETS = 16;
const PER_BUCKET = 4;
/** Fewer say nothing. */
const LEAST_SAMPLES = 5;

export const SAMPLES = z.array(z.tuple([z.number(), z.number()])).max(BUCKETS * PER_BUCKET);

/** Pairs (argument, value), oldest first. */
export type Samples = z.infer<typeof SAMPLES>;

export function addSamples(before: Samples, added: readonly (readonly [number, number])[]): Samples {
  const all = [...before, ...added].filter(
    ([x, y]) => Number.isFinite(x) && Number.isFinite(y) && x >= 0 && y >= 0,
  );
  const most = all.reduce((max, [x]) => Math.max(max, x), 0);
  const room = new Array<number>(BUCKETS).fill(PER_BUCKET);
  const kept: Samples = [];
  for (let at = all.length - 1; at >= 0; at--) {
    const [x, y] = all[at]!;
    const bucket = most === 0 ? 0 : Math.min(BUCKETS - 1, Math.floor((BUCKETS * x) / most));
    if (room[bucket]!-- > 0) kept.push([x, y]);
  }
  return kept.reverse();
}

/** Least squares; falling lines are made level: more work is never less time. Null with too few samples. */
export function lineThrough(samples: Samples): ((x: number) => number) | null {
  const n = samples.length;
  if (n < LEAST_SAMPLES) return null;
  const meanX = samples.reduce((sum, [x]) => sum + x, 0) / n;
  const meanY = samples.reduce((sum, [, y]) => sum + y, 0) / n;
  const spread = samples.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  const both = samples.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  const slope = spread === 0 ? 0 : Math.max(0, both / spread);
  return (x) => Math.max(0, meanY + slope * (x - meanX));
}
