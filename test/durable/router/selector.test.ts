/** Is the pick the lowest cost with fair ties, or the softmax that the temperature asks for? */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Random, select } from '../../../durable/router/selector.ts';

/** A fixed sequence of good random numbers (mulberry32). */
function seeded(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function shares(costs: number[], temperature: number, draws = 40_000): number[] {
  const random = seeded(7);
  const counts = costs.map(() => 0);
  const row = Float64Array.from(costs);
  for (let i = 0; i < draws; i++) counts[select(row, costs.length, temperature, random)]!++;
  return counts.map((count) => count / draws);
}

test('temperature 0 takes the lowest cost', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20), { minLength: 1 }), fc.integer(), (costs, seed) => {
      const picked = select(Float64Array.from(costs), costs.length, 0, seeded(seed));
      expect(costs[picked]).toBe(Math.min(...costs));
    }),
  );
});

test('temperature 0 breaks ties uniformly', () => {
  const [a, b, c, d] = shares([1, 5, 1, 1], 0);
  expect(b).toBe(0);
  for (const share of [a, c, d]) expect(share).toBeCloseTo(1 / 3, 1.7);
});

test('above 0 the shares are the softmax of the costs scaled to their range', () => {
  const costs = [0, 5, 10];
  const temperature = 0.5;
  const weights = costs.map((cost) => Math.exp(-cost / (10 * temperature)));
  const total = weights.reduce((sum, weight) => sum + weight);
  const got = shares(costs, temperature);
  for (const [i, weight] of weights.entries()) expect(got[i]).toBeCloseTo(weight / total, 1.7);
});

test('above 0 equal costs are picked uniformly', () => {
  for (const share of shares([3, 3, 3, 3], 1)) expect(share).toBeCloseTo(0.25, 1.7);
});

test('only the first rows count, and a draw of almost 1 falls on the last', () => {
  expect(select(Float64Array.of(2, 1, 0), 2, 0, () => 0)).toBe(1);
  expect(select(Float64Array.of(1, 2, 0), 2, 1, () => 1 - 2 ** -53)).toBe(1);
  expect(select(Float64Array.of(4), 1, 1, () => 0.9)).toBe(0);
});
