/** Does an engine with a profile's times keep them, between the measured points and beyond? */

import { expect, test } from 'vitest';
import type { GridProfile } from '../../../../durable/runtime/profile/profile-tables.ts';
import { noWork, passMs, type TimingOptions } from '../../../../gpu-sidecar/engines/mock/timing.ts';
import { TimingTable } from '../../../../gpu-sidecar/engines/mock/timing-table.ts';

const PROFILE: GridProfile = {
  prefill: { inputTokens: [100, 200], ttftMs: [10, 30], tokensPerSecondPerGpu: [1, 1] },
  decode: {
    maxKvTokens: 1_000,
    kvUsage: [0, 0.5, 1],
    contextTokens: [100, 300],
    itlMs: [
      [4, 8],
      [6, 10],
      [10, 14],
    ],
    tokensPerSecondPerGpu: [
      [1, 1],
      [1, 1],
      [1, 1],
    ],
  },
};
const table = new TimingTable(PROFILE);

test('prompts lie on the line between two lengths, and on it beyond them', () => {
  expect([100, 150, 200, 400].map((tokens) => table.prefillMs(tokens))).toEqual([10, 20, 30, 70]);
  expect(table.prefillMs(0)).toBe(0);
  expect(table.prefillMs(1)).toBe(0.001);
});

test('steps lie between four points, by the tokens in the cache and the mean context', () => {
  const decode = (decodingRequests: number, decodeContextTokens: number) =>
    table.decodeMs({ decodingRequests, decodeContextTokens });
  expect(decode(5, 500)).toBe(6);
  expect(decode(2.5, 500)).toBe(8);
  expect(decode(7.5, 750)).toBe(8);
  expect(decode(15, 1_500)).toBe(14);
});

test('a pass takes both from it, divided by the speedup', () => {
  const timing: TimingOptions = { speedup: 2, decodeSpeedup: 2, decodeMs: 0, table };
  const work = {
    ...noWork(1),
    prefills: 1,
    prefilledTokens: 150,
    decodingRequests: 5,
    decodeContextTokens: 500,
  };
  expect(passMs(work, timing)).toBe(10 + 1.5);
  expect(passMs(work, { ...timing, decodeMs: 3 })).toBe(13);
  expect(passMs(work, { ...timing, speedup: 0 })).toBe(0);
});

test('one measured point is the same everywhere', () => {
  const one = new TimingTable({
    prefill: { inputTokens: [7], ttftMs: [9], tokensPerSecondPerGpu: [1] },
    decode: { maxKvTokens: 10, kvUsage: [1], contextTokens: [5], itlMs: [[3]], tokensPerSecondPerGpu: [[1]] },
  });
  expect([one.prefillMs(1), one.prefillMs(1e6)]).toEqual([9, 9]);
  expect(one.decodeMs({ decodingRequests: 9, decodeContextTokens: 1e6 })).toBe(3);
});
