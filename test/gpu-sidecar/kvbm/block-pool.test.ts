/** The pool against a naive model, with every eviction policy; and what its handles promise. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BlockIdentity } from '../../../gpu-sidecar/kvbm/block.ts';
import { type BlockHold, BlockPool, type PartialBlock } from '../../../gpu-sidecar/kvbm/block-pool.ts';
import { EVICTION_POLICIES, type EvictionName } from '../../../gpu-sidecar/kvbm/eviction/registry.ts';
import { blocksOfWord } from './named-blocks.ts';

const NAMES = Object.keys(EVICTION_POLICIES) as EvictionName[];
const RUNS = 2_000;
const CAPACITY = 5;

const block = (word: string): BlockIdentity => blocksOfWord(word).at(-1)!;

function poolOf(name: EvictionName, duplicates: 'reuse' | 'keep' = 'reuse', capacityBlocks = CAPACITY) {
  const told = new Set<bigint>();
  const problems: string[] = [];
  const observer = {
    stored: ({ hash }: BlockIdentity) => {
      if (told.has(hash)) problems.push('stored twice');
      told.add(hash);
    },
    removed: ({ hash }: BlockIdentity) => {
      if (!told.delete(hash)) problems.push('removed without stored');
    },
  };
  const eviction = EVICTION_POLICIES[name](capacityBlocks);
  return { pool: new BlockPool({ capacityBlocks, eviction, observer, duplicates }), told, problems };
}

function store(pool: BlockPool, word: string, priority = 0): BlockHold {
  return pool
    .allocate()!
    .complete({ identity: block(word), checksum: 0n })
    .register(priority);
}

const word = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 3 });
const step = fc.oneof(
  fc.record({ kind: fc.constant('allocate' as const) }),
  fc.record({ kind: fc.constant('register' as const), word, priority: fc.nat(3) }),
  fc.record({ kind: fc.constant('abandon' as const) }),
  fc.record({ kind: fc.constant('match' as const), word }),
  fc.record({ kind: fc.constant('release' as const), at: fc.nat(20) }),
  fc.record({ kind: fc.constant('drop' as const), word }),
  fc.record({ kind: fc.constant('clear' as const) }),
);

describe.each(NAMES)('a pool that evicts by %s', (name) => {
  it('agrees with a naive model whatever happens', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.constantFrom('reuse', 'keep'),
        (steps, duplicates) => {
          const { pool, told, problems } = poolOf(name, duplicates);
          const partials: PartialBlock[] = [];
          const holds: BlockHold[] = [];
          const heldSlots = () => new Set([...holds, ...partials].map(({ slot }) => slot));
          for (const action of steps) {
            const before = new Set(told);
            switch (action.kind) {
              case 'allocate': {
                const held = heldSlots();
                const partial = pool.allocate();
                expect(partial === null).toBe(held.size === CAPACITY);
                if (partial === null) break;
                expect(held.has(partial.slot)).toBe(false);
                partials.push(partial);
                break;
              }
              case 'register': {
                const partial = partials.pop();
                if (!partial) break;
                const identity = block(action.word);
                const there = pool.has(identity.hash);
                const hold = partial.complete({ identity, checksum: 7n }).register(action.priority);
                expect(hold.slot === partial.slot).toBe(!there || duplicates === 'keep');
                expect(pool.has(identity.hash)).toBe(true);
                holds.push(hold);
                break;
              }
              case 'abandon':
                partials.pop()?.[Symbol.dispose]();
                break;
              case 'match': {
                const blocks = blocksOfWord(action.word);
                const found = pool.match(blocks.map(({ hash }) => hash));
                const gap = blocks.findIndex(({ hash }) => !before.has(hash));
                expect(found.length).toBe(gap < 0 ? blocks.length : gap);
                expect(found.map(({ described }) => described.identity.hash)).toEqual(
                  blocks.slice(0, found.length).map(({ hash }) => hash),
                );
                holds.push(...found);
                break;
              }
              case 'release':
                if (holds.length > 0) holds.splice(action.at % holds.length, 1)[0]![Symbol.dispose]();
                break;
              case 'drop':
                expect(pool.drop(block(action.word).hash)).toBe(before.has(block(action.word).hash));
                expect(pool.has(block(action.word).hash)).toBe(false);
                break;
              case 'clear':
                expect(pool.clear()).toBe(before.size - told.size);
            }
            expect(pool.availableBlocks).toBe(CAPACITY - heldSlots().size);
            expect(pool.registeredBlocks).toBe(told.size);
            // Whatever is held and was found stays where it is.
            for (const { described, slot } of holds) {
              const { hash } = described.identity;
              const again = told.has(hash) ? pool.hold(hash) : null;
              if (again && duplicates === 'reuse' && again.described === described)
                expect(again.slot).toBe(slot);
              again?.[Symbol.dispose]();
            }
          }
          for (const handle of [...holds, ...partials]) handle[Symbol.dispose]();
          expect(pool.availableBlocks).toBe(CAPACITY);
          expect(problems).toEqual([]);
        },
      ),
      { numRuns: RUNS },
    );
  });

  it('keeps a beginning longer than what follows it', () => {
    const { pool } = poolOf(name, 'reuse', 4);
    const holds = ['a', 'ab', 'aba'].map((prefix) => store(pool, prefix));
    for (const hold of holds.reverse()) hold[Symbol.dispose]();
    if (name === 'sieve' || name === 's3-fifo') return; // They go by arrival.
    const others = [pool.allocate()!, pool.allocate()!];
    expect(others).toHaveLength(2);
    expect([pool.has(block('a').hash), pool.has(block('ab').hash), pool.has(block('aba').hash)]).toEqual([
      true,
      true,
      false,
    ]);
  });
});

describe('handles', () => {
  it('give the slot back at the end of their scope', () => {
    const { pool } = poolOf('lru');
    {
      using partial = pool.allocate()!;
      expect(pool.availableBlocks).toBe(CAPACITY - 1);
      expect(partial.slot).toBeLessThan(CAPACITY);
    }
    expect(pool.availableBlocks).toBe(CAPACITY);
  });

  it('cannot be used after the next state began, and giving back twice does nothing', () => {
    const { pool } = poolOf('lru');
    const partial = pool.allocate()!;
    const complete = partial.complete({ identity: block('a'), checksum: 0n });
    expect(() => partial.complete({ identity: block('b'), checksum: 0n })).toThrow('after its end');
    partial[Symbol.dispose]();
    const hold = complete.register();
    expect(() => complete.register()).toThrow('after its end');
    hold[Symbol.dispose]();
    hold[Symbol.dispose]();
    expect(pool.inactiveBlocks).toBe(1);
  });

  it('of a dropped block stay good until they end', () => {
    const { pool } = poolOf('lru', 'reuse', 1);
    const hold = store(pool, 'a');
    pool.drop(block('a').hash);
    expect(pool.allocate()).toBeNull();
    hold[Symbol.dispose]();
    expect(pool.allocate()).not.toBeNull();
  });
});

describe('priorities', () => {
  it.each(['lru', 'lineage', 'lrfu'] as const)('let a block outlive younger ones (%s)', (name) => {
    const { pool } = poolOf(name, 'reuse', 3);
    store(pool, 'a', 2)[Symbol.dispose]();
    store(pool, 'b')[Symbol.dispose]();
    store(pool, 'ba')[Symbol.dispose]();
    store(pool, 'bb')[Symbol.dispose]();
    expect(pool.has(block('a').hash)).toBe(true);
  });
});

describe('a slot whose block is known', () => {
  it('is adopted once, and not under a name that is taken', () => {
    const { pool, told } = poolOf('lru');
    const described = { identity: block('a'), checksum: 3n };
    pool.adopt(2, described)![Symbol.dispose]();
    expect(pool.adopt(2, { identity: block('b'), checksum: 3n })).toBeNull();
    expect(pool.adopt(3, described)).toBeNull();
    expect([...told]).toEqual([block('a').hash]);
    expect(pool.hold(block('a').hash)!.slot).toBe(2);
    expect(pool.availableBlocks).toBe(CAPACITY - 1);
    const slots = Array.from({ length: CAPACITY }, () => pool.allocate()?.slot ?? null);
    expect(slots).toEqual([0, 1, 3, 4, null]);
  });
});
