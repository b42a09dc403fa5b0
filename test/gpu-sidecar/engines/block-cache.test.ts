/** The block cache against a naive model, and the properties that others rely on. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BlockCache, type BlockPath } from '../../../gpu-sidecar/engines/block-cache.ts';

/** Paths are words over a small alphabet; the hash of a block is a number for its whole prefix. */
const hashes = new Map<string, number>();
function hashOf(prefix: string): number {
  const known = hashes.get(prefix) ?? hashes.size + 1;
  hashes.set(prefix, known);
  return known;
}

function pathOf(word: string): BlockPath {
  const sequenceHashes = new Uint32Array(2 * word.length);
  for (let i = 0; i < word.length; i++) {
    const hash = hashOf(word.slice(0, i + 1));
    // Few different low words, so that the table's runs get long.
    sequenceHashes[2 * i] = hash % 5;
    sequenceHashes[2 * i + 1] = hash;
  }
  return { slots: new Int32Array(word.length), sequenceHashes, localHashes: sequenceHashes };
}

/** What the cache says it stores, by prefix, with every complaint about the order of its events. */
function watched(capacityBlocks: number) {
  const stored = new Map<number, number | null>();
  const problems: string[] = [];
  const cache = new BlockCache({
    capacityBlocks,
    observer: {
      stored(path, from, to) {
        for (let i = from; i < to; i++) {
          const hash = path.sequenceHashes[2 * i + 1]!;
          const parent = i === 0 ? null : path.sequenceHashes[2 * i - 1]!;
          if (parent !== null && !stored.has(parent)) problems.push(`parent of ${hash} unknown`);
          if (stored.has(hash)) problems.push(`${hash} twice`);
          stored.set(hash, parent);
        }
      },
      removed(_low, high) {
        if (!stored.delete(high)) problems.push(`${high} not stored`);
        if ([...stored.values()].includes(high)) problems.push(`${high} has children`);
      },
    },
  });
  return { cache, stored, problems };
}

interface Holder {
  path: BlockPath;
  held: number;
}

/** Takes a path as an engine does: what is cached, then new blocks; null when there is no room. */
function take(cache: BlockCache, word: string): Holder | null {
  const path = pathOf(word);
  const { blocks, inactive } = cache.match(path.sequenceHashes, word.length);
  if (word.length - blocks + inactive > cache.availableBlocks) return null;
  cache.acquire(path, blocks);
  for (let i = blocks; i < word.length; i++) path.slots[i] = cache.allocate();
  cache.store(path, blocks, word.length);
  return { path, held: word.length };
}

describe('the block cache', () => {
  it('shares equal prefixes and keeps finished blocks until they are needed', () => {
    const { cache, stored } = watched(6);
    const one = take(cache, 'abc')!;
    const two = take(cache, 'abd')!;
    expect(cache.activeBlocks).toBe(4);
    expect([...one.path.slots].slice(0, 2)).toEqual([...two.path.slots].slice(0, 2));
    cache.release(one.path, 3);
    cache.release(two.path, 3);
    expect([cache.activeBlocks, stored.size]).toEqual([0, 4]);
    expect(cache.match(pathOf('abcx').sequenceHashes, 4)).toEqual({ blocks: 3, inactive: 3 });
    expect(cache.clear()).toBe(4);
    expect(stored.size).toBe(0);
  });

  it('evicts the least recently used path first, from its end', () => {
    const { cache } = watched(4);
    for (const word of ['ab', 'cd']) cache.release(take(cache, word)!.path, 2);
    cache.release(take(cache, 'ab')!.path, 2);
    cache.release(take(cache, 'e')!.path, 1);
    expect(cache.match(pathOf('cd').sequenceHashes, 2).blocks).toBe(1);
    expect(cache.match(pathOf('ab').sequenceHashes, 2).blocks).toBe(2);
  });

  it('gives a block back when another sequence stored the same one first', () => {
    const { cache, problems } = watched(4);
    const paths = [pathOf('a'), pathOf('a')];
    for (const path of paths) path.slots[0] = cache.allocate();
    expect(cache.activeBlocks).toBe(2);
    for (const path of paths) cache.store(path, 0, 1);
    expect(paths[1]!.slots[0]).toBe(paths[0]!.slots[0]);
    expect(cache.activeBlocks).toBe(1);
    cache.release(paths[0]!, 1);
    expect(cache.activeBlocks).toBe(1);
    expect(problems).toEqual([]);
  });

  it('has no block for anyone when all are held', () => {
    const { cache } = watched(2);
    take(cache, 'ab');
    expect(cache.allocate()).toBe(-1);
    expect(cache.evictOldest()).toBe(false);
  });

  it('agrees with a naive model under any traffic', () => {
    const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 6 });
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ take: word }) },
      { weight: 5, arbitrary: fc.record({ release: fc.nat() }) },
      { weight: 1, arbitrary: fc.constant({ clear: true }) },
      { weight: 1, arbitrary: fc.constant({ evict: true }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { cache, stored, problems } = watched(9);
        const holders: Holder[] = [];
        for (const one of steps) {
          if ('take' in one) {
            const holder = take(cache, one.take);
            if (holder) holders.push(holder);
          } else if ('release' in one && holders.length > 0) {
            const [holder] = holders.splice(one.release % holders.length, 1);
            cache.release(holder!.path, holder!.held);
          } else if ('clear' in one) cache.clear();
          else if ('evict' in one) cache.evictOldest();
          const held = new Set(holders.flatMap(({ path, held }) => [...path.slots.slice(0, held)]));
          expect(cache.activeBlocks).toBe(held.size);
          for (const [prefix, hash] of hashes) {
            const found = cache.find(hash % 5, hash) >= 0;
            expect(found, prefix).toBe(stored.has(hash));
          }
        }
        expect(problems).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});
