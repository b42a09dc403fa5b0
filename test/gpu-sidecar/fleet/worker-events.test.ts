/** Event ids, the ring, and dumps that a router can build its index from. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RadixIndex } from '#wasm/radix';
import { WorkerEvents } from '../../../gpu-sidecar/fleet/worker-events.ts';
import { StorageTier } from '../../../gpu-sidecar/proto/gen/stator/v1/fleet_pb.js';

const hashes = (...values: (bigint | number)[]) =>
  new Uint8Array(BigUint64Array.from(values.map(BigInt)).buffer);
const make = (ring = 8, dumpBlocksPerFrame = 4) => {
  let changes = 0;
  const events = new WorkerEvents({ ring, dumpBlocksPerFrame, changed: () => changes++ });
  return { events, changes: () => changes };
};
const store = (events: WorkerEvents, parent: number | null, ...blocks: number[]) =>
  events.stored({
    parentHash: parent === null ? null : hashes(parent),
    blockHashes: hashes(...blocks),
    tokensHashes: hashes(...blocks.map((block) => block + 1_000)),
  });

test('ids count from 0 up by 1 over all kinds of events', () => {
  const { events, changes } = make();
  store(events, null, 1, 2);
  events.removed(hashes(2));
  events.cleared();
  expect(events.since(0)!.map(({ eventId, data }) => [eventId, data.case])).toEqual([
    [0n, 'stored'],
    [1n, 'removed'],
    [2n, 'cleared'],
  ]);
  expect(changes()).toBe(3);
});

test('the ring forgets the oldest and says so', () => {
  const { events } = make(4);
  for (let i = 1; i <= 6; i++) store(events, null, i);
  expect(events.oldest).toBe(2);
  expect(events.since(1)).toBeNull();
  expect(events.since(2)!.map(({ eventId }) => eventId)).toEqual([2n, 3n, 4n, 5n]);
  expect(events.since(6)).toEqual([]);
  expect(events.since(7)).toBeNull();
});

test('who lacks more than the ring holds may begin at a clear that it still holds', () => {
  const { events } = make(4);
  for (let i = 1; i <= 6; i++) store(events, null, i);
  events.cleared();
  store(events, null, 7);
  expect(events.since(0)!.map(({ eventId }) => eventId)).toEqual([6n, 7n]);
  expect(events.since(4)!.map(({ eventId }) => eventId)).toEqual([4n, 5n, 6n, 7n]);
  for (let i = 8; i <= 11; i++) store(events, null, i);
  expect(events.since(0)).toBeNull();
});

test('a dump can be taken piece by piece, each once and in order, with events in between', () => {
  const { events } = make(8, 2);
  store(events, null, 1, 2, 3, 4, 5);
  expect(events.snapshotPiece(1)).toBeNull();
  expect(events.snapshotPiece(0)).toMatchObject({ first: true, last: false, snapshotPiece: 0 });
  store(events, null, 9);
  expect(events.snapshotPiece(0)).toMatchObject({ first: true });
  expect(events.snapshotPiece(2)).toBeNull();
  expect(events.snapshotPiece(1)).toMatchObject({ first: false, last: false, snapshotPiece: 1 });
  let last = events.snapshotPiece(2)!;
  for (let piece = 3; !last.last; piece++) last = events.snapshotPiece(piece)!;
  expect(last.lastEventId).toBe(1n);
  expect(events.snapshotPiece(last.snapshotPiece! + 1)).toBeNull();
  events.snapshotPiece(0);
  events.dump();
  expect(events.snapshotPiece(1)).toBeNull();
});

test('blocks of every tier are told and dumped with it, parents in earlier tiers first', () => {
  const { events } = make(8, 4);
  const path = (parent: number | null, ...blocks: number[]) => ({
    parentHash: parent === null ? null : hashes(parent),
    blockHashes: hashes(...blocks),
    tokensHashes: hashes(...blocks.map((block) => block + 1_000)),
  });
  events.stored(path(null, 1, 2));
  events.stored(path(2, 3, 4), StorageTier.HOST_PINNED);
  events.stored(path(4, 5), StorageTier.DISK);
  events.removed(hashes(4), StorageTier.HOST_PINNED);
  expect(events.since(0)!.map(({ storageTier }) => storageTier)).toEqual([0, 1, 2, 1]);
  const dumped = () =>
    events
      .dump()
      .map(({ storageTier, stored }) => [
        storageTier,
        stored.reduce((blocks, { blockHashes }) => blocks + blockHashes.length / 8, 0),
      ]);
  // What is behind the removed block cannot be said.
  expect(dumped()).toEqual([
    [0, 2],
    [1, 1],
    [2, 0],
  ]);
  events.stored(path(3, 4), StorageTier.HOST_PINNED);
  expect(dumped()).toEqual([
    [0, 2],
    [1, 2],
    [2, 1],
  ]);
});

test('the dump of a worker without events is one empty frame that names no event', () => {
  expect(make().events.dump()).toMatchObject([{ first: true, last: true, stored: [] }]);
  expect(make().events.dump()[0]!.lastEventId).toBeUndefined();
});

test('a dump names the last event and goes out in frames of bounded size', () => {
  const { events } = make(8, 4);
  store(events, null, 1, 2, 3);
  store(events, 3, 4, 5, 6, 7, 8, 9);
  store(events, 1, 20);
  events.removed(hashes(20));
  const frames = events.dump();
  expect(frames.length).toBeGreaterThan(1);
  expect(frames.map(({ first }) => first)).toEqual(frames.map((_, i) => i === 0));
  expect(frames.map(({ last }) => last)).toEqual(frames.map((_, i) => i === frames.length - 1));
  expect(frames.at(-1)!.lastEventId).toBe(3n);
  for (const { stored } of frames) {
    expect(stored.reduce((blocks, path) => blocks + path.blockHashes.length / 8, 0)).toBeLessThanOrEqual(4);
  }
});

test('what a router builds from a dump finds what the engine holds', () => {
  const step = fc.record({ tree: fc.nat(2), length: fc.integer({ min: 1, max: 6 }), drop: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const { events } = make(8, 3);
      const held = new Map<number, number>();
      for (const { tree, length, drop } of steps) {
        const have = held.get(tree) ?? 0;
        const block = (depth: number) => tree * 100 + depth + 1;
        if (drop && have > 0) {
          events.removed(hashes(block(have - 1)));
          held.set(tree, have - 1);
        } else {
          const path = Array.from({ length }, (_, i) => block(have + i));
          store(events, have === 0 ? null : block(have - 1), ...path);
          held.set(tree, have + length);
        }
      }
      using router = new RadixIndex({ capacityBytes: 1 << 24 });
      for (const { stored } of events.dump()) {
        for (const { parentHash, blockHashes, tokensHashes } of stored) {
          const parent = parentHash.length === 0 ? null : parentHash;
          expect(router.store(3, { parentHash: parent, blockHashes, tokensHashes })).toBe(0);
        }
      }
      for (const [tree, have] of held) {
        const prompt = hashes(...Array.from({ length: 200 }, (_, depth) => tree * 100 + depth + 1_001)).slice(
          0,
          have * 8,
        );
        const found = router.find(prompt);
        expect(have === 0 ? 0 : found.pairs[1]).toBe(have);
      }
    }),
  );
});
