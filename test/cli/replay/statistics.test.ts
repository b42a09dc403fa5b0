/** Are the percentiles of many samples those of a sorted list, as exactly as promised? */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { distributionOf, Histogram } from '../../../cli/replay/statistics.ts';

test('few samples: the mean, and percentiles by nearest rank', () => {
  const samples = Float64Array.from({ length: 100 }, (_, i) => 100 - i);
  expect(distributionOf(samples)).toEqual({ mean: 50.5, p50: 50, p90: 90, p99: 99 });
  expect(distributionOf(Float64Array.of(7))).toEqual({ mean: 7, p50: 7, p90: 7, p99: 7 });
  expect(distributionOf(new Float64Array(0))).toEqual({ mean: 0, p50: 0, p90: 0, p99: 0 });
});

test('many samples: within a thousandth of the sorted list, in any order and weight', () => {
  const value = fc.double({ min: 1e-6, max: 1e6, noNaN: true });
  fc.assert(
    fc.property(fc.array(fc.tuple(value, fc.integer({ min: 1, max: 5 })), { minLength: 1 }), (weighted) => {
      const histogram = new Histogram();
      for (const [sample, count] of weighted) histogram.add(sample, count);
      const sorted = weighted.flatMap(([sample, count]) => new Array<number>(count).fill(sample));
      sorted.sort((a, b) => a - b);
      expect(histogram.count).toBe(sorted.length);
      for (const share of [0.5, 0.9, 0.99]) {
        const exact = sorted[Math.ceil(share * sorted.length) - 1]!;
        expect(Math.abs(histogram.percentile(share) / exact - 1)).toBeLessThan(1e-3);
      }
    }),
  );
});
