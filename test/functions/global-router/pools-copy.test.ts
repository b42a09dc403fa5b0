/** When the copy of the configuration is read again, and that no count is lost on the way. */

import { expect, test } from 'vitest';
import type { GlobalRouterConfig, PoolCount } from '../../../durable/global-router/rpc.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { PoolsCopy } from '../../../functions/global-router/pools-copy.ts';

function object() {
  const state = { version: 1, config: null as GlobalRouterConfig | null, reads: 0, broken: false };
  const told: PoolCount[] = [];
  const read = async (known: number, counts: PoolCount[]) => {
    state.reads++;
    if (state.broken) throw new Error('gone');
    told.push(...counts);
    return known === state.version ? null : { version: state.version, config: state.config };
  };
  return { state, told, read };
}

const SOME = { modelName: 'm' } as GlobalRouterConfig;

test('a fresh copy asks nobody; an old one is read by one request while the others go on', async () => {
  const { state, read } = object();
  const copy = new PoolsCopy();
  expect(await copy.current(read, 0)).toBeNull();
  expect(copy.current(read, LIMITS.poolsTtlMs - 1)).toBeNull();
  Object.assign(state, { version: 2, config: SOME });
  const refreshing = copy.current(read, LIMITS.poolsTtlMs);
  expect(copy.current(read, LIMITS.poolsTtlMs)).toBeNull();
  expect(await refreshing).toBe(SOME);
  expect(copy.current(read, LIMITS.poolsTtlMs)).toBe(SOME);
  expect(state.reads).toBe(2);
});

test('counts go along with the next reading, once; one that failed loses none', async () => {
  const { state, told, read } = object();
  const copy = new PoolsCopy();
  await copy.refresh(read, 0);
  copy.given('a', 'selected');
  copy.given('a', 'selected');
  copy.failed('a', 'no_workers');
  state.broken = true;
  await copy.refresh(read, 1);
  copy.given('a', 'selected');
  state.broken = false;
  await copy.refresh(read, 2);
  await copy.refresh(read, 3);
  expect(told).toEqual([
    { pool: 'a', what: 'selected', count: 3 },
    { pool: 'a', what: 'failed:no_workers', count: 1 },
  ]);
});

test('an object that does not answer costs nothing but news; at the first reading it is an error', async () => {
  const { state, read } = object();
  const copy = new PoolsCopy();
  state.broken = true;
  await expect(copy.refresh(read, 0)).rejects.toThrow('does not answer');
  Object.assign(state, { broken: false, config: SOME });
  await copy.refresh(read, 1);
  state.broken = true;
  expect(await copy.current(read, 5_000)).toBe(SOME);
});
