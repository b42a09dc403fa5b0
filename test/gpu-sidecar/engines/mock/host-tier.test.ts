/** The host tier by itself: what is there when, in which order it goes, and what a copy holds up. */

import { expect, test } from 'vitest';
import { HostTier, hostBlocks } from '../../../../gpu-sidecar/engines/mock/host-tier.ts';

const blocks = (...ids: number[]) => hostBlocks(Uint32Array.from(ids.flatMap((id) => [id, 0])), ids.length);
const nothing = () => {};

function tier(capacityBlocks: number) {
  const removed: number[] = [];
  const host = new HostTier({
    capacityBlocks,
    blockMs: 10,
    removed: (gone) => removed.push(...gone.map(({ low }) => low)),
  });
  return { host, removed };
}

test('blocks are sent when their pass is over, one after the other, and are there when they have come', () => {
  const { host } = tier(10);
  host.store(blocks(1, 2), nothing);
  host.store(blocks(3), nothing);
  expect(host.dueMs).toBe(Infinity);
  host.sendStores(100);
  expect(host.dueMs).toBe(120);
  expect(host.match(blocks(1, 2, 3), 0)).toBeNull();
  host.advance(120);
  expect(host.match(blocks(1, 2), 0)).toBe(2);
  expect(host.dueMs).toBe(130);
  host.advance(130);
  expect(host.match(blocks(1, 2, 3, 4), 1)).toBe(2);
  expect(host.isQuiet).toBe(true);
});

function filled(capacityBlocks: number, ...ids: number[]) {
  const made = tier(capacityBlocks);
  for (const id of ids) made.host.store(blocks(id), nothing);
  made.host.sendStores(0);
  made.host.advance(1e6);
  return made;
}

test('the least recently used goes; the first of a prompt counts as used last', () => {
  const { host, removed } = filled(3, 1, 2, 3);
  host.touch(blocks(1, 2));
  host.store(blocks(4), nothing);
  expect(removed).toEqual([3]);
  host.store(blocks(5), nothing);
  expect(removed).toEqual([3, 2]);
});

test('a block that is on its way, in either direction, stays', () => {
  const { host, removed } = filled(2, 1, 2);
  host.load(blocks(1), 1e6, nothing);
  expect(host.match(blocks(1), 0)).toBeNull();
  host.store(blocks(3), nothing);
  expect(removed).toEqual([2]);
  expect(host.store(blocks(4), nothing)).toBeNull();
  host.sendStores(1e6);
  host.advance(2e6);
  expect(host.store(blocks(4), nothing)).not.toBeNull();
});

test('a prompt does not push out its own beginning', () => {
  const { host, removed } = filled(2, 1, 2);
  expect(host.store(blocks(1, 2, 3), nothing)).toBeNull();
  expect(removed).toEqual([]);
});
