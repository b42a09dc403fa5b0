/** Does modelled prefill shrink with time as the oldest prompt is computed, never below 0, and end where it began? */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PrefillLoad } from '../../../durable/router/prefill-load.ts';
import { PrefillSpeed } from '../../../durable/router/prefill-speed.ts';

test('the time since the oldest was begun is worth its share of tokens, and goes on into the next', () => {
  const load = new PrefillLoad();
  load.add(1, { tokens: 100, expectedMs: 1_000 }, 0);
  load.add(2, { tokens: 50, expectedMs: 500 }, 100);
  expect([load.tokensAt(0), load.tokensAt(255), load.tokensAt(1_200), load.tokensAt(9_000)]).toEqual([
    150, 125, 30, 0,
  ]);
});

test('with a prompt of unknown length of time among them only the oldest shrinks', () => {
  const load = new PrefillLoad();
  load.add(1, { tokens: 100, expectedMs: 1_000 }, 0);
  load.add(2, { tokens: 50, expectedMs: null }, 0);
  expect([load.tokensAt(255), load.tokensAt(5_000)]).toEqual([125, 50]);
  load.remove(1, 5_000);
  expect(load.tokensAt(6_000)).toBe(50);
});

test('when the oldest ends the next begins then', () => {
  const load = new PrefillLoad();
  load.add(1, { tokens: 100, expectedMs: 1_000 }, 0);
  load.add(2, { tokens: 50, expectedMs: 500 }, 0);
  load.remove(1, 700);
  expect([load.tokensAt(700), load.tokensAt(800)]).toEqual([50, 40]);
});

test('when a later one ends first, its time is taken from the oldest, not past now', () => {
  const load = new PrefillLoad();
  load.add(1, { tokens: 100, expectedMs: 1_000 }, 0);
  load.add(2, { tokens: 50, expectedMs: 500 }, 0);
  load.remove(2, 700);
  expect(load.tokensAt(700)).toBe(80);
});

test('is never negative and never above the sum, and empty when all have ended', () => {
  const prefill = fc.record({ tokens: fc.integer({ min: 1, max: 500 }), expectedMs: fc.option(fc.nat(800)) });
  fc.assert(
    fc.property(fc.array(fc.tuple(prefill, fc.nat(500), fc.boolean()), { maxLength: 20 }), (steps) => {
      const load = new PrefillLoad();
      const present = new Map<number, number>();
      let nowMs = 0;
      steps.forEach(([added, waitMs, ends], number) => {
        load.add(number, added, nowMs);
        present.set(number, added.tokens);
        nowMs += waitMs;
        if (ends) {
          const first = [...present.keys()][number % present.size]!;
          load.remove(first, nowMs);
          present.delete(first);
        }
        const sum = [...present.values()].reduce((total, tokens) => total + tokens, 0);
        expect(load.tokensAt(nowMs)).toBeGreaterThanOrEqual(0);
        expect(load.tokensAt(nowMs)).toBeLessThanOrEqual(sum);
      });
      for (const number of present.keys()) load.remove(number, nowMs);
      expect([load.isEmpty, load.tokensAt(nowMs)]).toEqual([true, 0]);
    }),
  );
});

test('speed is a line through what was seen', () => {
  const speed = new PrefillSpeed();
  expect(speed.expectedMs(100)).toBeNull();
  for (let tokens = 100; tokens <= 2_000; tokens += 100) speed.learn(tokens, 20 + tokens / 10);
  expect(speed.expectedMs(500)).toBeCloseTo(70, 5);
  expect(speed.expectedMs(10_000)).toBeCloseTo(1_020, 3);
});

test('speed of prompts of one length is in proportion, and what is no measurement is not learnt', () => {
  const speed = new PrefillSpeed();
  for (let i = 0; i < 20; i++) {
    speed.learn(100, 50);
    speed.learn(0, 50);
    speed.learn(100, 0);
  }
  expect(speed.expectedMs(200)).toBeCloseTo(100, 5);
});
