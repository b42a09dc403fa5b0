/** Is the pace of an answer that of its middle, however long it is? */

import { expect, test } from 'vitest';
import { TokenPace } from '../../../gpu-sidecar/response/token-pace.ts';

function paceOf(gapsMs: readonly number[]): number | null {
  const pace = new TokenPace();
  let nowMs = 1_000;
  pace.token(nowMs);
  for (const gap of gapsMs) {
    nowMs += gap;
    pace.token(nowMs);
  }
  return pace.steadyItlMs;
}

test('a slow beginning and a fast end are not in it', () => {
  const middle = new Array<number>(50).fill(6);
  expect(paceOf([90, 80, 70, ...middle, 1, 1, 1])).toBe(6);
});

test('one long gap in the middle is not in it either', () => {
  expect(paceOf([...new Array<number>(12).fill(6), 90, ...new Array<number>(12).fill(6)])).toBe(6);
});

test('an answer of any length has one', () => {
  for (const length of [8, 9, 100, 255, 256, 257, 1_000, 10_000]) {
    expect(paceOf(new Array<number>(length).fill(2.5))).toBeCloseTo(2.5, 9);
  }
});

test('a few tokens have none', () => {
  expect(paceOf([1, 1, 1, 1, 1, 1])).toBe(null);
});
