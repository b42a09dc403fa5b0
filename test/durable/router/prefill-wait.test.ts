/** How long a prompt waits on a rank: what is ahead of it, less what must be done of it, never less than half. */

import { expect, test } from 'vitest';
import { prefillWaitMs } from '../../../durable/router/prefill-wait.ts';
import type { Rank } from '../../../durable/router/workers.ts';
import { taughtTiming } from './taught-timing.ts';

const timing = taughtTiming({ passMs: 10, tokenMs: 0.1 });
/** 1,000 tokens ahead take 110 ms; they began at 5,000. */
const busy = (prefillTokens = 1_000) =>
  ({
    prefillTokens,
    prefillSinceMs: 5_000,
    timing,
    worker: { registration: { maxNumBatchedTokens: 8_192 } },
  }) as Rank;

test('an idle rank lets nobody wait', () => {
  expect(prefillWaitMs(busy(0), 9_999)).toBe(0);
});

test('at first all of it is ahead', () => {
  expect(prefillWaitMs(busy(), 5_000)).toBeCloseTo(110, 2);
});

test('time that passed is taken off', () => {
  expect(prefillWaitMs(busy(), 5_030)).toBeCloseTo(80, 2);
});

test('a rank that is slower than believed never looks free: half stays', () => {
  expect(prefillWaitMs(busy(), 60_000)).toBeCloseTo(55, 2);
});

test('a clock that steps back takes nothing off', () => {
  expect(prefillWaitMs(busy(), 4_000)).toBeCloseTo(110, 2);
});
