/** Is the cost that of semantics §1.3, and monotonic in every input? */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cost, DEFAULT_WEIGHTS, type WorkerLoad } from '../../../durable/router/cost.ts';

const idle: WorkerLoad = { overlapBlocks: 0, prefillTokens: 0, decodeBlocks: 0, activeRequests: 0 };
const tenBlocks = { promptTokens: 160, blockSizeTokens: 16 };

test('the worked example: 10 prefill blocks, (overlap, D) of (2,10), (5,5), (8,9) cost 18, 10 and 11', () => {
  const costs = [
    [2, 10],
    [5, 5],
    [8, 9],
  ].map(([overlapBlocks, decodeBlocks]) =>
    cost({ ...idle, overlapBlocks: overlapBlocks!, decodeBlocks: decodeBlocks! }, tenBlocks, DEFAULT_WEIGHTS),
  );
  expect(costs).toEqual([18, 10, 11]);
});

test('a partial block counts by its tokens', () => {
  expect(cost(idle, { promptTokens: 24, blockSizeTokens: 16 }, DEFAULT_WEIGHTS)).toBe(1.5);
});

test('overlap of a busy worker also offsets its queue, but never more than there is', () => {
  const busy = { ...idle, prefillTokens: 160 };
  expect(cost({ ...busy, overlapBlocks: 10 }, tenBlocks, DEFAULT_WEIGHTS)).toBe(10);
  const eager = { ...DEFAULT_WEIGHTS, overlapScoreCredit: 5 };
  expect(cost({ ...busy, overlapBlocks: 10 }, tenBlocks, eager)).toBe(0);
});

test('each weight scales its own term', () => {
  const load = { overlapBlocks: 4, prefillTokens: 32, decodeBlocks: 7, activeRequests: 3 };
  const weights = { overlapScoreCredit: 0.5, prefillLoadScale: 2, decodeActiveRequestWeight: 10 };
  expect(cost(load, tenBlocks, weights)).toBe(2 * (12 - 2) + 7 + 30);
});

test('more load never costs less, more overlap never more', () => {
  const load = fc.record({
    overlapBlocks: fc.nat(100),
    prefillTokens: fc.nat(10_000),
    decodeBlocks: fc.nat(1_000),
    activeRequests: fc.nat(100),
  });
  const weight = fc.double({ min: 0, max: 10, noNaN: true });
  const weights = fc.record({
    overlapScoreCredit: weight,
    prefillLoadScale: weight,
    decodeActiveRequestWeight: weight,
  });
  fc.assert(
    fc.property(load, weights, fc.nat(5_000), (a, w, promptTokens) => {
      const request = { promptTokens, blockSizeTokens: 16 };
      const base = cost(a, request, w);
      expect(base).toBeGreaterThanOrEqual(0);
      expect(cost({ ...a, overlapBlocks: a.overlapBlocks + 1 }, request, w)).toBeLessThanOrEqual(base);
      for (const term of ['prefillTokens', 'decodeBlocks', 'activeRequests'] as const) {
        expect(cost({ ...a, [term]: a[term] + 1 }, request, w)).toBeGreaterThanOrEqual(base);
      }
    }),
  );
});
