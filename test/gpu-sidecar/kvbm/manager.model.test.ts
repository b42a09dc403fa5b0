/**
 * The manager against what an engine knows for sure: whatever happens in the tiers, what is onboarded is a beginning of what was
 * asked for, with the very bytes that were computed, and so is what peers are served; what peers bring is found only when its bytes are
 * right; events say what is where; and in the end nothing is left held.
 */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { BlockIdentity } from '../../../gpu-sidecar/kvbm/block.ts';
import type { EvictionName } from '../../../gpu-sidecar/kvbm/eviction/registry.ts';
import type { Onboarding } from '../../../gpu-sidecar/kvbm/onboard/onboarding.ts';
import type { ServedBlock } from '../../../gpu-sidecar/kvbm/peer/served-block.ts';
import type { KvTier } from '../../../gpu-sidecar/kvbm/residency.ts';
import { blockChecksum } from '../../../gpu-sidecar/kvbm/tiers/checksum.ts';
import { blocksOfWord, bytesOf } from './named-blocks.ts';
import { BLOCK_BYTES, SyntheticTiers, soon, type Trouble } from './synthetic-tiers.ts';

const RUNS = 10_000;

const word = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 4 });
const tier = fc.constantFrom('disk' as const, 'object' as const);
const trouble = fc.constantFrom<Trouble[]>(
  'flip',
  'tear',
  'stall',
  'stall',
  'missing',
  'no_space',
  'unavailable',
  'io',
  'denied',
  'short_read', // biome-ignore format: one list
);
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('compute' as const), word }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('evict' as const), word }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('onboard' as const), word, abort: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('await' as const), word, abort: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('receive' as const),
      word,
      outcome: fc.constantFrom('whole' as const, 'damaged' as const, 'dropped' as const),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('release' as const), at: fc.nat(9) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('trouble' as const), tier, trouble }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'expire' as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'resume' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'later' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'clear' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'crash' as const }) },
);
const setting = fc.record({
  eviction: fc.constantFrom<EvictionName[]>('lru', 'lineage', 'sieve', 's3-fifo', 'lrfu'),
  filterLeast: fc.constantFrom(1, 2),
});

function expectTrueBytes(onboarding: Onboarding, wanted: string): void {
  const blocks = blocksOfWord(wanted);
  expect(onboarding.blocks.length).toBeLessThanOrEqual(blocks.length);
  onboarding.blocks.forEach(({ identity, bytes }, i) => {
    expect(identity.hash).toBe(blocks[i]!.hash);
    expect(Buffer.compare(bytes, bytesOf(blocks[i]!, BLOCK_BYTES))).toBe(0);
  });
}

/** A peer brings a block, well or not. */
function receive(
  tiers: SyntheticTiers,
  block: BlockIdentity,
  outcome: 'whole' | 'damaged' | 'dropped',
): void {
  const slot = tiers.manager.receive(block);
  if (slot === null || slot === 'present') return;
  using receiving = slot;
  receiving.bytes.set(bytesOf(block, BLOCK_BYTES));
  const checksum = blockChecksum(block.hash, receiving.bytes);
  if (outcome === 'damaged') receiving.bytes[3]! ^= 1;
  if (outcome === 'whole') receiving.complete(checksum);
  if (outcome === 'damaged') expect(() => receiving.complete(checksum)).toThrow();
}

/** The events from the start on, summed up: they must agree with themselves and with the pools. */
function expectTrueEvents(tiers: SyntheticTiers): void {
  const where = new Map<bigint, Set<KvTier>>();
  for (const event of tiers.events) {
    const { hash } = event.block;
    const set = where.get(hash) ?? new Set();
    where.set(hash, set);
    if (event.kind === 'stored') {
      expect([set.has(event.tier), event.first]).toEqual([false, set.size === 0]);
      set.add(event.tier);
    } else {
      expect(set.delete(event.tier)).toBe(true);
      expect(event.last).toBe(set.size === 0);
    }
  }
  const count = (name: KvTier) => [...where.values()].filter((set) => set.has(name)).length;
  expect([count('host'), count('disk'), count('external'), count('device')]).toEqual([
    tiers.pools.host.registeredBlocks,
    tiers.pools.disk.registeredBlocks,
    tiers.pools.object.registeredBlocks,
    tiers.device.size,
  ]);
}

it('returns true bytes or fewer blocks, tells the truth, and leaks nothing, whatever happens', {
  timeout: 300_000,
}, async () => {
  let onboarded = 0;
  let awaited = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 4, maxLength: 30, size: 'max' }),
      setting,
      async (steps, options) => {
        const tiers = new SyntheticTiers(options);
        const held: { onboarding: Onboarding; word: string }[] = [];
        const served: ServedBlock[] = [];
        const leaving: AbortController[] = [];
        const coming: Promise<void>[] = [];
        const releaseAll = () => {
          for (const { onboarding, word } of held.splice(0)) {
            expectTrueBytes(onboarding, word);
            onboarding[Symbol.dispose]();
          }
          for (const block of served.splice(0)) {
            expect(Buffer.compare(block.bytes, bytesOf(block.identity, BLOCK_BYTES))).toBe(0);
            block[Symbol.dispose]();
          }
        };
        const giveUp = () => {
          for (const controller of leaving.splice(0)) controller.abort();
        };
        for (const action of steps) {
          switch (action.kind) {
            case 'compute':
              tiers.compute(blocksOfWord(action.word));
              break;
            case 'evict':
              tiers.evict(
                blocksOfWord(action.word)
                  .slice(-1)
                  .filter(({ hash }) => tiers.device.has(hash)),
              );
              break;
            case 'onboard': {
              const controller = new AbortController();
              const asked = tiers.manager.onboard(blocksOfWord(action.word), controller.signal);
              coming.push(
                asked.then((onboarding) => {
                  expectTrueBytes(onboarding, action.word);
                  onboarded += onboarding.blocks.length;
                  held.push({ onboarding, word: action.word });
                }),
              );
              if (action.abort) controller.abort();
              break;
            }
            case 'await': {
              const controller = new AbortController();
              leaving.push(controller);
              const block = blocksOfWord(action.word).at(-1)!;
              const asked = tiers.manager.whenHeld(block, controller.signal);
              coming.push(
                asked.then((came) => {
                  if (came === null) return;
                  expect(came.identity.hash).toBe(block.hash);
                  awaited++;
                  served.push(came);
                }),
              );
              if (action.abort) controller.abort();
              break;
            }
            case 'receive':
              receive(tiers, blocksOfWord(action.word).at(-1)!, action.outcome);
              break;
            case 'release': {
              const { onboarding, word } = held.splice(action.at % (held.length || 1), 1)[0] ?? {};
              if (!onboarding) break;
              expectTrueBytes(onboarding, word!);
              onboarding[Symbol.dispose]();
              break;
            }
            case 'trouble':
              tiers.stores[action.tier].next = action.trouble;
              break;
            case 'expire':
              tiers.expire();
              break;
            case 'resume':
              tiers.resume();
              break;
            case 'later':
              tiers.clock.advance(5_000);
              break;
            case 'clear':
              tiers.manager.clear();
              break;
            case 'crash':
              await tiers.settle();
              giveUp();
              await Promise.all(coming.splice(0));
              releaseAll();
              expectTrueEvents(tiers);
              tiers.crash();
          }
          await soon();
        }
        await tiers.settle();
        giveUp();
        await Promise.all(coming);
        releaseAll();
        await soon();
        for (const pool of Object.values(tiers.pools)) expect(pool.availableBlocks).toBe(pool.capacityBlocks);
        expectTrueEvents(tiers);
      },
    ),
    { numRuns: RUNS },
  );
  expect(onboarded).toBeGreaterThan(RUNS / 2);
  expect(awaited).toBeGreaterThan(RUNS / 10);
});
