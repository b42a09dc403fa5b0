/** Texts are divided among calls within their bounds, in order, and run a few at a time. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { inTurns, portionsOf } from '../../../functions/embeddings/portions.ts';

test('portions cover all texts in order, and each is bounded unless it is one long text', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 3_000 }), { maxLength: 400 }), (lengths) => {
      const portions = portionsOf(lengths);
      expect(portions.flatMap(({ start, end }) => lengths.slice(start, end))).toEqual(lengths);
      for (const { start, end, tokens } of portions) {
        expect(end - start).toBeLessThanOrEqual(LIMITS.embeddingCallInputs);
        expect(tokens).toBe(lengths.slice(start, end).reduce((sum, length) => sum + length, 0));
        if (end - start > 1) expect(tokens).toBeLessThanOrEqual(LIMITS.embeddingCallTokens);
      }
    }),
  );
});

test('work runs a few at a time, its results are in order, and a failure starts no more', async () => {
  let running = 0;
  let most = 0;
  const started: number[] = [];
  const work = async (item: number) => {
    started.push(item);
    most = Math.max(most, ++running);
    await new Promise(setImmediate);
    running--;
    if (item === 5) throw new Error('five');
    return item * 2;
  };
  expect(await Promise.all(inTurns([1, 2, 3, 4], 2, work))).toEqual([2, 4, 6, 8]);
  expect(most).toBe(2);
  started.length = 0;
  const settled = await Promise.allSettled(inTurns([1, 5, 6, 7, 8, 9], 2, work));
  expect(settled[1]).toMatchObject({ status: 'rejected' });
  expect(settled.at(-1)).toMatchObject({ status: 'rejected' });
  expect(started.length).toBeLessThan(6);
});
