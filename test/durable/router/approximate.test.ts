/** Does the approximate cache hold what was routed, for as long and as much as it should, and nothing of workers that left? */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ApproximateCache } from '../../../durable/router/approximate.ts';
import { wasmIndexes } from '../../../durable/router/wasm-indexes.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { hashes, naiveIndexes } from './naive-indexes.ts';

const DEFAULTS = { policy: 'ttl' as const, ttlMs: 120_000, maxTreeSize: 2 ** 20, pruneTargetRatio: 0.8 };

describe.each([
  ['naive', naiveIndexes],
  ['wasm', wasmIndexes],
])('with %s indexes', (_name, indexes) => {
  const cache = (options: Partial<Record<keyof typeof DEFAULTS, unknown>> = {}) =>
    new ApproximateCache(indexes.prefixIndex(), { ...DEFAULTS, ...options } as typeof DEFAULTS);
  const depth = (of: ApproximateCache, slot: number, ...blocks: number[]) =>
    of.index.find(hashes(...blocks)).device[slot] ?? 0;

  test('a routed prompt is cached there and nowhere else', () => {
    const routed = cache();
    routed.routed(1, hashes(1, 2, 3), 0, 0);
    expect([depth(routed, 1, 1, 2, 3, 4), depth(routed, 0, 1, 2, 3)]).toEqual([3, 0]);
    expect(routed.size).toBe(3);
    routed.index.free();
  });

  test('equal blocks behind different beginnings are different blocks', () => {
    const routed = cache();
    routed.routed(0, hashes(1, 7), 0, 0);
    routed.routed(0, hashes(2, 7), 0, 0);
    expect(routed.size).toBe(4);
    expect([depth(routed, 0, 1, 7), depth(routed, 0, 2, 7)]).toEqual([2, 2]);
    routed.index.free();
  });

  test('a block is forgotten its time after it was last routed, at the next full 100 ms', () => {
    const routed = cache({ ttlMs: 1_000 });
    routed.routed(0, hashes(1, 2, 3), 0, 1_010);
    routed.routed(0, hashes(1, 2), 0, 1_550);
    routed.sweep(2_099);
    expect(depth(routed, 0, 1, 2, 3)).toBe(3);
    routed.sweep(2_100);
    expect(depth(routed, 0, 1, 2, 3)).toBe(2);
    routed.sweep(2_599);
    expect(depth(routed, 0, 1, 2)).toBe(2);
    routed.sweep(2_600);
    expect([depth(routed, 0, 1, 2), routed.size]).toEqual([0, 0]);
    routed.index.free();
  });

  test('past the size of the tree the longest not routed go, down to the ratio', () => {
    const routed = cache({ maxTreeSize: 10, pruneTargetRatio: 0.5 });
    for (let prompt = 0; prompt < 5; prompt++) routed.routed(0, hashes(10 * prompt, 1), 0, prompt * 100);
    expect(routed.size).toBe(10);
    routed.routed(0, hashes(0, 1), 0, 500);
    routed.routed(0, hashes(90, 1), 0, 600);
    expect(routed.size).toBe(5);
    expect([depth(routed, 0, 0, 1), depth(routed, 0, 90, 1), depth(routed, 0, 10, 1)]).toEqual([2, 2, 0]);
    routed.index.free();
  });

  test('lru holds what the worker has room for, and no time passes', () => {
    const routed = cache({ policy: 'lru' });
    routed.routed(0, hashes(1, 2), 4, 0);
    routed.routed(0, hashes(5, 6), 4, 1);
    routed.routed(0, hashes(1, 2), 4, 2);
    routed.sweep(1e9);
    routed.routed(1, hashes(5, 6), 4, 3);
    routed.routed(0, hashes(7, 8, 9), 4, 4);
    expect(routed.size).toBe(6);
    expect([depth(routed, 0, 5, 6), depth(routed, 0, 1, 2), depth(routed, 0, 7, 8, 9)]).toEqual([0, 1, 3]);
    expect(depth(routed, 1, 5, 6)).toBe(2);
    routed.index.free();
  });

  test('what a worker had is gone with it, also when another takes its slot', () => {
    for (const policy of ['ttl', 'lru']) {
      const routed = cache({ policy, ttlMs: 1_000 });
      routed.routed(0, hashes(1, 2, 3), 0, 0);
      routed.clear(0);
      expect(depth(routed, 0, 1, 2, 3)).toBe(0);
      routed.routed(0, hashes(1, 2), 0, 500);
      routed.sweep(1_000);
      expect(depth(routed, 0, 1, 2, 3)).toBe(2);
      expect(routed.size).toBe(2);
      routed.index.free();
    }
  });

  test('holds what a list of the times of all blocks says', () => {
    const step = fc.record({
      slot: fc.nat(1),
      prompt: fc.array(fc.nat(2), { minLength: 1, maxLength: 4 }),
      waitMs: fc.nat(400),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const routed = cache({ ttlMs: 1_000 });
        const expiries = new Map<string, number>();
        let nowMs = 0;
        for (const { slot, prompt, waitMs } of steps) {
          nowMs += waitMs;
          routed.sweep(nowMs);
          routed.routed(slot, hashes(...prompt), 0, nowMs);
          for (let length = 1; length <= prompt.length; length++) {
            const key = `${slot}:${prompt.slice(0, length)}`;
            expiries.set(key, Math.ceil((nowMs + 1_000) / 100) * 100);
          }
          for (const [key, expiry] of expiries) if (expiry <= nowMs) expiries.delete(key);
          expect(routed.size).toBe(expiries.size);
          for (const key of expiries.keys()) {
            const [at, path] = key.split(':');
            const blocks = path!.split(',').map(Number);
            expect(depth(routed, Number(at), ...blocks)).toBe(blocks.length);
          }
        }
        routed.index.free();
      }),
      { numRuns: 50 },
    );
  });
});

test('one turn prunes a bounded number, and the next ones go on', () => {
  const size = 4 * LIMITS.prunedPerTurn;
  const index = naiveIndexes.prefixIndex();
  const routed = new ApproximateCache(index, { ...DEFAULTS, maxTreeSize: size, pruneTargetRatio: 0.1 });
  const block = (at: number) => {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setUint32(0, at, true);
    return bytes;
  };
  for (let at = 0; at <= size; at++) routed.routed(0, block(at), 0, at);
  expect(routed.size).toBe(size + 1 - LIMITS.prunedPerTurn);
  routed.routed(0, block(size + 1), 0, size + 1);
  expect(routed.size).toBe(size + 2 - 2 * LIMITS.prunedPerTurn);
});
