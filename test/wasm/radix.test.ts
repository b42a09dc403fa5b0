// Does the index report exactly the contiguous prefixes, whatever the history? Against the naive model, after every step.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import {
  dumpDone,
  dumpEvents,
  maxSlots,
  maxWords,
  RadixIndex,
  storeStatus,
} from '../../wasm/load/node/radix.ts';
import type { Matches, TierMatches } from '../../wasm/radix.ts';
import { bigints, words } from './bytes.ts';
import { keyOf, ModelIndex } from './model.ts';

const capacityBytes = 64 * 2 ** 20;

/** What was found, by slot and tier as the model says it. */
function byKey(found: TierMatches): Map<number, number> {
  const map = new Map([...asMap(found)].map(([slot, blocks]) => [keyOf(slot, 0), blocks]));
  for (let i = 0; i < found.lowerCount; i += 1) {
    const [slot, tier, blocks] = found.lower.subarray(3 * i, 3 * i + 3);
    map.set(keyOf(slot!, tier!), blocks!);
  }
  expect(map.size).toBe(found.count + found.lowerCount);
  return map;
}

function asMap({ count, pairs }: Matches): Map<number, number> {
  const map = new Map<number, number>();
  for (let i = 0; i < count; i += 1) map.set(pairs[2 * i] ?? -1, pairs[2 * i + 1] ?? -1);
  expect(map.size).toBe(count);
  return map;
}

/** STATOR_FUZZ_SEQUENCES=10000 is the full run; CI and `npm test` run a tenth of it. */
const sequences = Number(process.env.STATOR_FUZZ_SEQUENCES ?? 1_000);
const slots = fc.constantFrom(0, 1, 2, 63, 64, 1000);
const tier = fc.constantFrom(0, 0, 0, 1, 2, 3);
const name = fc.nat({ max: 11 });
const token = fc.nat({ max: 2 });
const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc
      .record({
        slot: slots,
        tier,
        parent: fc.option(name, { nil: null, freq: 2 }),
        blocks: fc.array(fc.tuple(name, token), { maxLength: 6 }),
      })
      .map(({ slot, tier, parent, blocks }) => ({
        kind: 'store' as const,
        slot,
        tier,
        event: { parent, names: blocks.map(([n]) => n), tokens: blocks.map(([, t]) => t) },
      })),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('remove' as const),
      slot: slots,
      tier,
      names: fc.array(name, { maxLength: 4 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('clear' as const),
      slot: slots,
      tier: fc.option(tier, { nil: undefined }),
    }),
  },
);

describe('RadixIndex', () => {
  test('finds what the naive model finds, after every step of any history', () => {
    const query = fc.array(token, { maxLength: 8 });
    const history = fc.array(fc.tuple(step, fc.array(query, { minLength: 3, maxLength: 3 })), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(history, (steps) => {
        using index = new RadixIndex({ capacityBytes });
        const model = new ModelIndex();
        for (const [action, queries] of steps) {
          if (action.kind === 'store') {
            const { parent, names, tokens } = action.event;
            const parentHash = parent === null ? null : words(parent);
            const event = { parentHash, blockHashes: words(...names), tokensHashes: words(...tokens) };
            expect(index.store(action.slot, event, action.tier)).toBe(
              model.store(action.slot, action.event, action.tier),
            );
          } else if (action.kind === 'remove') {
            expect(index.remove(action.slot, words(...action.names), action.tier)).toBe(
              model.remove(action.slot, action.names, action.tier),
            );
          } else {
            index.clear(action.slot, action.tier);
            model.clear(action.slot, action.tier);
          }
          for (const q of queries) expect(byKey(index.find(words(...q)))).toEqual(model.find(q));
          expect(index.blocks).toBe(model.blocks());
          const { slot, tier = 0 } = action;
          expect(index.slotBlocks(slot, tier)).toBe(model.slotBlocks(slot, tier));
        }
      }),
      { numRuns: sequences },
    );
  }, 600_000);

  test('says why a store changed nothing', () => {
    using index = new RadixIndex({ capacityBytes });
    const event = { blockHashes: words(1, 2), tokensHashes: words(10, 20) };
    expect(index.store(0, event)).toBe(storeStatus.stored);
    expect(index.store(0, event)).toBe(storeStatus.duplicate);
    expect(index.store(1, { ...event, parentHash: words(1) })).toBe(storeStatus.invalid);
    expect(index.store(1, { parentHash: words(2), blockHashes: words(3), tokensHashes: words(30) })).toBe(
      storeStatus.parentNotFound,
    );
    expect(index.store(0, { blockHashes: words(5, 5), tokensHashes: words(1, 2) })).toBe(storeStatus.invalid);
    expect(index.store(0, { blockHashes: words(), tokensHashes: words() })).toBe(storeStatus.invalid);
    expect(index.store(maxSlots, event)).toBe(storeStatus.invalid);
    expect(index.store(0, { blockHashes: words(1), tokensHashes: words(1, 2) })).toBe(storeStatus.invalid);
    expect(index.store(0, { blockHashes: new Uint8Array(7), tokensHashes: new Uint8Array(7) })).toBe(
      storeStatus.invalid,
    );
    expect(index.blocks).toBe(2);
  });

  test('a call with more hashes than fit is refused before anything is written', () => {
    using index = new RadixIndex({ capacityBytes });
    const huge = new Uint8Array(8 * (maxWords + 1));
    expect(() => index.find(huge)).toThrow(RangeError);
    expect(() => index.remove(0, huge)).toThrow(RangeError);
    expect(index.store(0, { blockHashes: huge, tokensHashes: huge })).toBe(storeStatus.invalid);
  });

  test('a removed middle block hides what follows until it is stored again', () => {
    using index = new RadixIndex({ capacityBytes });
    index.store(0, { blockHashes: words(1, 2, 3), tokensHashes: words(10, 20, 30) });
    expect(index.remove(0, words(2, 99))).toBe(1);
    expect(asMap(index.find(words(10, 20, 30)))).toEqual(new Map([[0, 1]]));
    index.store(0, { parentHash: words(1), blockHashes: words(2), tokensHashes: words(20) });
    expect(asMap(index.find(words(10, 20, 30)))).toEqual(new Map([[0, 3]]));
  });

  test('lower tiers go on where the tier before them ended', () => {
    using index = new RadixIndex({ capacityBytes });
    index.store(0, { blockHashes: words(1, 2), tokensHashes: words(10, 20) });
    const host = { parentHash: words(2), blockHashes: words(3), tokensHashes: words(30) };
    expect(index.store(0, host, 1)).toBe(storeStatus.stored);
    const disk = { parentHash: words(3), blockHashes: words(4), tokensHashes: words(40) };
    expect(index.store(0, disk, 2)).toBe(storeStatus.stored);
    expect(index.store(1, disk, 2)).toBe(storeStatus.parentNotFound);
    const query = words(10, 20, 30, 40, 50);
    const all = [2, 1, 1].map((blocks, at) => [keyOf(0, at), blocks] as const);
    expect(byKey(index.find(query))).toEqual(new Map(all));
    index.remove(0, words(1, 2));
    expect(byKey(index.find(query))).toEqual(new Map());
    index.store(0, { blockHashes: words(1, 2), tokensHashes: words(10, 20) }, 1);
    expect(byKey(index.find(query))).toEqual(
      new Map([
        [keyOf(0, 1), 3],
        [keyOf(0, 2), 1],
      ]),
    );
    index.clear(0, 1);
    expect([index.slotBlocks(0, 1), index.slotBlocks(0, 2)]).toEqual([0, 1]);
    index.clear(0);
    expect(index.blocks).toBe(0);
  });

  test('a dump in pieces rebuilds the slot', () => {
    using index = new RadixIndex({ capacityBytes });
    using copy = new RadixIndex({ capacityBytes });
    const hash = (i: number): bigint => BigInt(i + 1) * 0x9e37_79b9_7f4a_7c15n;
    for (let prompt = 0; prompt < 50; prompt += 1) {
      const ids = Array.from({ length: 20 }, (_, i) => hash(i < 10 ? i : prompt * 100 + i));
      index.store(5, { blockHashes: words(...ids), tokensHashes: words(...ids.map((id) => id ^ 1n)) });
    }
    let [cursor, pieces, blocks] = [0, 0, 0];
    while (cursor !== dumpDone) {
      const piece = index.dump(5, { cursor, maxBlocks: 64 });
      const bytes = piece.words.slice();
      for (const event of dumpEvents(bytes)) blocks += bigints(event.blockHashes).length;
      expect(copy.load(5, bytes)).toBeLessThanOrEqual(64);
      cursor = piece.cursor;
      pieces += 1;
    }
    expect(pieces).toBeGreaterThan(7);
    expect([blocks, copy.blocks, copy.slotBlocks(5)]).toEqual([510, 510, 510]);
    const query = Array.from({ length: 20 }, (_, i) => hash(i < 10 ? i : 4200 + i) ^ 1n);
    expect(asMap(copy.find(words(...query)))).toEqual(new Map([[5, 20]]));
  });

  test('endless unique prompts stay within the budget, and what is matched stays', () => {
    const budget = 2 ** 20;
    using index = new RadixIndex({ capacityBytes: budget });
    const hot = words(...Array.from({ length: 32 }, (_, i) => BigInt(i) << 40n));
    index.store(7, { blockHashes: hot, tokensHashes: hot });
    const block = new BigUint64Array(16);
    for (let prompt = 1; prompt < 20_000; prompt += 1) {
      for (let i = 0; i < 16; i += 1) block[i] = BigInt(prompt * 16 + i) * 0x9e37_79b9_7f4a_7c15n;
      const bytes = new Uint8Array(block.buffer);
      expect(index.store(prompt % 5, { blockHashes: bytes, tokensHashes: bytes })).toBe(storeStatus.stored);
      if (prompt % 100 === 0) {
        expect(index.bytes).toBeLessThanOrEqual(budget);
        expect(asMap(index.find(hot))).toEqual(new Map([[7, 32]]));
      }
    }
    expect(index.evicted).toBeGreaterThan(200_000);
    expect(index.remove(1, words(16n * 0x9e37_79b9_7f4a_7c15n))).toBe(1);
  });
});
