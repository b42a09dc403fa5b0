/** Are the places to measure such that the worker can take them? */

import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { placesOf } from '../../../cli/profile/places.ts';

const shape = { contextLengthTokens: 1_024, maxKvTokens: 8_192, maxNumSeqs: 16 };

test('lengths double up to what the context holds, requests up to what the memory holds', () => {
  const { prefill, decode } = placesOf({ outputTokens: 64 }, shape);
  expect(prefill).toEqual([64, 128, 256, 512, 1_023]);
  expect(
    decode.filter(({ inputTokens }) => inputTokens === 128).map(({ concurrency }) => concurrency),
  ).toEqual([1, 2, 4, 8, 16]);
  expect(
    decode.filter(({ inputTokens }) => inputTokens === 960).map(({ concurrency }) => concurrency),
  ).toEqual([1, 2, 4, 7]);
});

test('what was asked for is taken, in order and once; requests that do not fit are left out', () => {
  const asked = { inputTokens: [9, 5, 9], contextTokens: [900], concurrency: [16, 2], outputTokens: 10 };
  expect(placesOf(asked, shape)).toEqual({ prefill: [5, 9], decode: [{ inputTokens: 900, concurrency: 2 }] });
});

test('whatever the worker is, each place fits it', () => {
  const anyShape = fc.record({
    contextLengthTokens: fc.integer({ min: 66, max: 200_000 }),
    maxKvTokens: fc.integer({ min: 200_000, max: 5_000_000 }),
    maxNumSeqs: fc.integer({ min: 1, max: 300 }),
  });
  fc.assert(
    fc.property(anyShape, (any) => {
      const { prefill, decode } = placesOf({ outputTokens: 64 }, any);
      expect(prefill.every((tokens) => tokens < any.contextLengthTokens)).toBe(true);
      for (const { inputTokens, concurrency } of decode) {
        expect(inputTokens + 64).toBeLessThanOrEqual(any.contextLengthTokens);
        expect(concurrency).toBeLessThanOrEqual(any.maxNumSeqs);
        if (concurrency > 1) expect(concurrency * (inputTokens + 64)).toBeLessThanOrEqual(any.maxKvTokens);
      }
    }),
  );
});

describe('refused', () => {
  it.each([
    [
      'a prompt as long as the context',
      { inputTokens: [1_024], outputTokens: 8 },
      '--input-tokens: 1024 is not from 1 to 1023',
    ],
    [
      'a context that leaves no room',
      { contextTokens: [1_020], outputTokens: 8 },
      '--context-tokens: 1020 is not from 1 to 1016',
    ],
    ['answers as long as the context', { outputTokens: 1_024 }, '--output-tokens 1024 leaves no room'],
    ['more requests than there is room for', { concurrency: [17], outputTokens: 8 }, '--concurrency'],
  ])('%s', (_name, asked, message) => {
    expect(() => placesOf(asked, shape)).toThrow(message);
  });
});
