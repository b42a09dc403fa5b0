/** Are ids unique, sortable by time, and of the promised form? */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { IdSource } from '../../../durable/runtime/ids.ts';

test('a request id is req_ and a UUID of version 7', () => {
  const id = new IdSource().requestId(Date.UTC(2026, 10, 20));
  expect(id).toMatch(/^req_[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test('the first 48 bits are the time, so ids sort by it', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 48 - 1 }), (nowMs) => {
      const hex = new IdSource().uuidV7(nowMs).replaceAll('-', '').slice(0, 12);
      expect(Number.parseInt(hex, 16)).toBe(nowMs);
    }),
  );
});

test('ids do not repeat, also where the pool of randomness is filled again', () => {
  const ids = new IdSource();
  const seen = new Set(Array.from({ length: 5_000 }, () => ids.requestId(0)));
  expect(seen.size).toBe(5_000);
});

test('all random bits are used', () => {
  const ids = new IdSource((bytes) => bytes.fill(0xff));
  expect(ids.uuidV7(0)).toBe('00000000-0000-7fff-bfff-ffffffffffff');
  expect(ids.instanceId()).toBe('ffffffffffffffff');
});
