/** Does a profile say what was measured, and refuse what makes no sense? */

import { describe, expect, it, test } from 'vitest';
import { Profile } from '../../../durable/planner/profile.ts';
import { PROFILE } from './metric-streams.ts';

const profile = new Profile(PROFILE);

test('prefill is a line between the points and level outside', () => {
  expect(profile.ttftMs(1_000)).toBe(30);
  expect(profile.ttftMs(5_500)).toBeCloseTo(120);
  expect(profile.ttftMs(0)).toBeCloseTo(10.02);
  expect(profile.ttftMs(1e9)).toBe(2_010);
  expect(profile.ttftMs(Number.NaN)).toBeCloseTo(10.02);
});

test('decode is looked up at the nearest point of the grid', () => {
  // 50 requests of 1,000 tokens are half of the memory.
  expect(profile.itlMs(50, 1_000)).toBe(15);
  expect(profile.itlMs(60, 1_000)).toBe(15);
  expect(profile.itlMs(1e6, 1_000)).toBe(20);
});

test('the most tokens under a target come from the fullest memory that keeps it', () => {
  expect(profile.bestDecodeTokensPerSecondPerGpu(15, 1_000)).toBeCloseTo((1000 * 50) / 15);
  expect(profile.bestDecodeTokensPerSecondPerGpu(1, 1_000)).toBeCloseTo(100);
});

test('an ITL that falls again with usage is not missed', () => {
  const itlMs = [[10], [40], [12]];
  const decode = {
    maxKvTokens: 1_000,
    kvUsage: [0, 0.5, 1],
    contextTokens: [100],
    itlMs,
    tokensPerSecondPerGpu: [[1], [2], [3]],
  };
  expect(new Profile({ ...PROFILE, decode }).bestDecodeTokensPerSecondPerGpu(15, 100)).toBe(3);
});

test('holes take the value of the nearest measured point', () => {
  const itlMs = PROFILE.decode.itlMs.map((row) => [...row]);
  itlMs[4] = [null, null, null];
  expect(new Profile({ ...PROFILE, decode: { ...PROFILE.decode, itlMs } }).itlMs(100, 1_000)).toBe(17.5);
});

describe('what is refused', () => {
  const { prefill, decode } = PROFILE;
  const nothing = decode.itlMs.map((row) => row.map(() => null));
  it.each([
    ['no object', 7, 'expected object'],
    ['NaN', { prefill: { ...prefill, ttftMs: [1, Number.NaN, 3, 4] }, decode }, 'prefill.ttftMs.1'],
    ['too few values', { prefill: { ...prefill, ttftMs: [1, 2] }, decode }, '2 values for 4 lengths'],
    [
      'lengths that fall',
      { prefill: { ...prefill, inputTokens: [1, 5, 4, 9] }, decode },
      '4 follows 5; the points must rise',
    ],
    ['a row that is too short', { prefill, decode: { ...decode, itlMs: [[1]] } }, 'want 5 rows of 3 values'],
    ['only holes', { prefill, decode: { ...decode, itlMs: nothing } }, 'nothing but holes'],
    [
      'a zero',
      { prefill, decode: { ...decode, itlMs: nothing.map(() => [0, 0, 0]) } },
      'values must be above 0',
    ],
  ])('%s', (_name, data, message) => {
    expect(() => new Profile(data)).toThrow(message);
  });
});
