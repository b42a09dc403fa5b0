/** What comes back waits by itself, longer each time, and not for ever. */

import { expect, test } from 'vitest';
import { Retries } from '../../../durable/batches/retries.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';

const line = (number: number) => ({ line: number, start: 0, length: 1, customId: String(number) });

test('a line waits, longer each time, and others do not', () => {
  const retries = new Retries(0);
  expect(retries.keep(line(1), 'no_room', 'm', 0)).toBe(true);
  expect(retries.dueMs).toBe(LIMITS.batchPauseMs);
  expect(retries.next(LIMITS.batchPauseMs - 1)).toBeNull();
  expect(retries.next(LIMITS.batchPauseMs)).toEqual(line(1));
  for (let times = 0; times < 20; times++) {
    expect(retries.keep(line(1), 'no_room', 'm', 0)).toBe(true);
    expect(retries.dueMs).toBeLessThanOrEqual(LIMITS.batchLongPauseMs);
    retries.next(Number.POSITIVE_INFINITY);
  }
  expect(retries.size).toBe(0);
});

test('what breaks is tried a few times', () => {
  const retries = new Retries(0);
  const kept = Array.from({ length: LIMITS.batchAttempts }, () => retries.keep(line(1), 'our_fault', 'm', 0));
  expect(kept).toEqual([...Array(LIMITS.batchAttempts - 1).fill(true), false]);
});

test('a model that is not there is waited for from the start, or since it was lost, by all its lines together', () => {
  const retries = new Retries(0);
  expect(retries.keep(line(1), 'no_model', 'm', 1)).toBe(true);
  expect(retries.keep(line(2), 'no_model', 'm', LIMITS.batchModelMs - 1)).toBe(true);
  expect(retries.keep(line(3), 'no_model', 'm', LIMITS.batchModelMs)).toBe(false);
  expect(retries.keep(line(4), 'no_model', 'other', LIMITS.batchModelMs)).toBe(false);
  retries.answered(line(2), 'm');
  expect(retries.keep(line(3), 'no_model', 'm', LIMITS.batchModelMs)).toBe(true);
  expect(retries.keep(line(3), 'no_model', 'm', 2 * LIMITS.batchModelMs)).toBe(false);
});
