/** The sampler: distributions, cuts, penalties, and that it depends on nothing but its input. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SamplingOptions } from '../../../../gpu-sidecar/engines/engine.ts';
import { argmax, sampleToken, type TokenCounts } from '../../../../gpu-sidecar/engines/llama/sampler.ts';
import { uniform } from '../../../../gpu-sidecar/engines/llama/uniform.ts';
import { GREEDY } from '../../../contract/engine.harness.ts';

interface Draw extends Partial<SamplingOptions> {
  counts?: TokenCounts;
  forbidden?: number[];
  allowed?: Uint32Array;
}

function sample(logits: number[], index: number, { counts, forbidden, allowed, ...sampling }: Draw): number {
  return sampleToken({
    logits: Float32Array.from(logits),
    sampling: { ...GREEDY, ...sampling },
    counts: counts ?? null,
    forbidden: forbidden ?? [],
    allowed: allowed ?? null,
    index,
  });
}

/** How often each token is drawn, out of 4,000. */
function shares(logits: number[], draw: Draw): number[] {
  const counts = logits.map(() => 0);
  for (let index = 0; index < 4_000; index++) counts[sample(logits, index, draw)]!++;
  return counts.map((count) => count / 4_000);
}

const LOGITS = [0, Math.log(2), Math.log(4), Math.log(8), Math.log(1)];

describe('the sampler', () => {
  it('takes the best token when greedy, the first of equals', () => {
    expect(sample(LOGITS, 0, {})).toBe(3);
    expect(argmax(Float32Array.of(1, 5, 5, 2))).toBe(1);
  });

  it('draws in proportion to the weights', () => {
    const got = shares(LOGITS, { temperature: 1 });
    [1, 2, 4, 8, 1].forEach((weight, id) => {
      expect(Math.abs(got[id]! - weight / 16)).toBeLessThan(0.03);
    });
    const cold = shares(LOGITS, { temperature: 0.5 });
    expect(Math.abs(cold[3]! - 64 / 86)).toBeLessThan(0.03);
  });

  it('cuts by top_k, top_p and min_p', () => {
    const drawn = (draw: Draw) =>
      shares(LOGITS, { temperature: 1, ...draw }).flatMap((share, id) => (share > 0 ? [id] : []));
    expect(drawn({ topK: 2 })).toEqual([2, 3]);
    expect(drawn({ topK: 1 })).toEqual([3]);
    expect(drawn({ topP: 0.7 })).toEqual([2, 3]);
    expect(drawn({ topP: 0.01 })).toEqual([3]);
    expect(drawn({ minP: 0.2 })).toEqual([1, 2, 3]);
    expect(drawn({ topK: 3, topP: 0.8 })).toEqual([2, 3]);
    expect(drawn({ topK: 100 })).toEqual([0, 1, 2, 3, 4]);
  });

  it('adds the bias and never takes a forbidden token', () => {
    expect(sample(LOGITS, 0, { logitBias: new Map([[0, 10]]) })).toBe(0);
    expect(sample(LOGITS, 0, { logitBias: new Map([[99, 10]]) })).toBe(3);
    expect(sample(LOGITS, 0, { forbidden: [3] })).toBe(2);
    expect(shares(LOGITS, { temperature: 2, forbidden: [3, 2] }).slice(2, 4)).toEqual([0, 0]);
  });

  it('takes only what the mask allows, and says so when that is nothing', () => {
    expect(sample(LOGITS, 0, { allowed: Uint32Array.of(0b101) })).toBe(2);
    expect(shares(LOGITS, { temperature: 2, allowed: Uint32Array.of(0b11) }).slice(2)).toEqual([0, 0, 0]);
    expect(sample(LOGITS, 0, { allowed: Uint32Array.of(0b1000), forbidden: [3] })).toBe(-1);
    const many = Array.from({ length: 100 }, (_, id) => id);
    expect(sample(many, 0, { allowed: Uint32Array.of(0xffff_ffff, 1 << 8, 0, 0) })).toBe(40);
  });

  it('penalises what was said', () => {
    const counts = { output: new Map([[3, 2]]), seen: new Set([3, 2]) };
    expect(sample(LOGITS, 0, { counts, frequencyPenalty: 0.3 })).toBe(3);
    expect(sample(LOGITS, 0, { counts, frequencyPenalty: 0.5 })).toBe(2);
    expect(sample(LOGITS, 0, { counts, presencePenalty: 0.8 })).toBe(2);
    expect(sample(LOGITS, 0, { counts, repetitionPenalty: 4 })).toBe(1);
    expect(
      sample([-1, -2], 0, { counts: { output: new Map(), seen: new Set([0]) }, repetitionPenalty: 3 }),
    ).toBe(1);
  });

  it('agrees with a full sort over a large vocabulary', () => {
    const options = fc.record({
      topK: fc.integer({ min: 0, max: 30 }),
      topP: fc.double({ min: 0.05, max: 1, noNaN: true }),
      seed: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    });
    const values = fc.array(fc.float({ min: -20, max: 20, noNaN: true }), { minLength: 40, maxLength: 200 });
    fc.assert(
      fc.property(values, options, (logits, { topK, topP, seed }) => {
        const id = sample(logits, 3, { temperature: 1, topK, topP, seed });
        const sorted = logits
          .map((logit, at) => ({ at, weight: Math.exp(logit) }))
          .sort((a, b) => b.weight - a.weight);
        const most = topK === 0 ? sorted.length : Math.min(topK, sorted.length);
        const kept = sorted.slice(0, most);
        const total = kept.reduce((sum, { weight }) => sum + weight, 0);
        let mass = 0;
        const allowed = kept.filter(({ weight }) => {
          const before = mass;
          mass += weight;
          return before < topP * total * (1 + 1e-6);
        });
        const least = allowed.at(-1)!.weight * (1 - 1e-6);
        expect(Math.exp(logits[id]!)).toBeGreaterThanOrEqual(least);
      }),
    );
  });

  it('draws from uniform numbers that depend on seed, choice and index alone', () => {
    const mean = Array.from({ length: 2_000 }, (_, index) => uniform(5n, { choice: 0, index }));
    expect(Math.abs(mean.reduce((sum, u) => sum + u, 0) / mean.length - 0.5)).toBeLessThan(0.02);
    expect(Math.min(...mean)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...mean)).toBeLessThan(1);
    expect(uniform(5n, { choice: 0, index: 7 })).toBe(mean[7]);
    const other = [uniform(5n + 2n ** 40n, { choice: 0, index: 7 }), uniform(5n, { choice: 1, index: 7 })];
    expect(new Set([...other, mean[7]]).size).toBe(3);
  });
});
