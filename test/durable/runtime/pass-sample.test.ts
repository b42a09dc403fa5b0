/** Are passes kept in a bounded number, evenly over the time, and given once? */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PassSample } from '../../../durable/runtime/pass-sample.ts';

const step = (at: number) => ({ prefillTokens: 0, decodeKvTokens: at + 1, queuedTokens: 0, wallMs: 5 });
const prefill = (at: number) => ({ ...step(at), prefillTokens: 100 + at, queuedTokens: 7 });

test('as long as there is room, every pass is given as it was, once', () => {
  const sample = new PassSample(4);
  for (const pass of [step(0), prefill(1), step(2)]) sample.add(pass);
  expect(sample.size).toBe(3);
  expect(sample.take()).toEqual([prefill(1), step(0), step(2)]);
  expect(sample.take()).toEqual([]);
});

test('what took no time or computed nothing was no pass', () => {
  const sample = new PassSample(4);
  for (const wallMs of [0, -1, Number.NaN]) sample.add({ ...prefill(1), wallMs });
  sample.add({ ...step(0), decodeKvTokens: 0 });
  expect(sample.size).toBe(0);
});

test('of more passes than there is room for, every second, fourth, … is left, from the first to nearly the last', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 0, max: 2_000 }), (most, count) => {
      const sample = new PassSample(most);
      for (let at = 0; at < count; at++) sample.add(step(at));
      const kept = sample.take().map(({ decodeKvTokens }) => decodeKvTokens - 1);
      const bound = 2 * Math.ceil(most / 2);
      const stride = kept.length > 1 ? kept[1]! - kept[0]! : 1;
      expect(kept).toEqual(kept.map((_, i) => i * stride));
      expect(kept.length).toBeLessThanOrEqual(bound);
      if (count > bound) expect(kept.length).toBeGreaterThanOrEqual(bound / 2);
      else expect(kept.length).toBe(count);
      if (kept.length > 1) expect(count - 1 - kept.at(-1)!).toBeLessThan(stride);
      // The next sample begins with every pass.
      sample.add(step(9));
      sample.add(step(10));
      expect(sample.take()).toEqual([step(9), step(10)]);
    }),
  );
});

test('many steps push no prompt out', () => {
  const sample = new PassSample(8);
  for (let at = 0; at < 1_000; at++) sample.add(at % 200 === 0 ? prefill(at) : step(at));
  const prefills = sample.take().filter(({ prefillTokens }) => prefillTokens > 0);
  expect(prefills).toEqual([0, 200, 400, 600, 800].map(prefill));
});
