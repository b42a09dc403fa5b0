/** What the manager promises, one thing at a time; everything at once is in manager.model.test.ts. */

import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { blocksOfWord, bytesOf } from './named-blocks.ts';
import { BLOCK_BYTES, SyntheticTiers, soon, type Trouble } from './synthetic-tiers.ts';

const BLOCKS = blocksOfWord('abcd');

/** Blocks that are on disk (and in the object store) alone. */
async function onDiskAlone(options = {}): Promise<SyntheticTiers> {
  const tiers = new SyntheticTiers(options);
  tiers.compute(BLOCKS);
  await tiers.settle();
  tiers.crash();
  return tiers;
}

describe('offloading', () => {
  it('copies what the engine stores down all tiers, several blocks at a time', async () => {
    const tiers = new SyntheticTiers({ batch: 3 });
    tiers.compute(BLOCKS);
    await tiers.settle();
    expect(tiers.exports).toEqual([3, 1]);
    for (const tier of ['host', 'disk', 'external'] as const)
      expect(BLOCKS.every(({ hash }) => tiers.manager.has(tier, hash))).toBe(true);
    expect(tiers.manager.status().map(({ tier, registeredBlocks }) => [tier, registeredBlocks])).toEqual([
      ['host', 4],
      ['disk', 4],
      ['object', 4],
    ]);
    for (const path of ['d2h', 'h2d', 'h2o'])
      expect(tiers.value(`kvbm_offload_blocks_total{path="${path}"}`)).toBe(4);
    expect(tiers.value('kvbm_offload_bytes_total{path="d2h"}')).toBe(4 * BLOCK_BYTES);
  });

  it('skips blocks that the engine gave up before their turn', async () => {
    const tiers = new SyntheticTiers();
    tiers.compute(BLOCKS);
    tiers.evict(BLOCKS.slice(2));
    await tiers.settle();
    expect(tiers.manager.match(BLOCKS)).toMatchObject({ blocks: 2, host: 2 });
    expect(tiers.value('kvbm_skipped_blocks_total{tier="host",reason="evicted"}')).toBe(2);
  });

  it('writes to disk only what was seen twice, when the filter says so', async () => {
    const tiers = new SyntheticTiers({ filterLeast: 2 });
    tiers.compute(BLOCKS);
    await tiers.settle();
    expect(tiers.pools.disk.registeredBlocks).toBe(0);
    tiers.compute(BLOCKS.slice(0, 2));
    await tiers.settle();
    expect([tiers.pools.disk.registeredBlocks, tiers.pools.object.registeredBlocks]).toEqual([2, 2]);
  });

  it('passes a disk that fails by, on to the object store', async () => {
    const tiers = new SyntheticTiers();
    tiers.stores.disk.next = 'no_space';
    tiers.compute(BLOCKS.slice(0, 1));
    await tiers.settle();
    expect([tiers.pools.disk.registeredBlocks, tiers.pools.object.registeredBlocks]).toEqual([0, 1]);
    expect(tiers.value('kvbm_faults_total{tier="disk",fault="no_space"}')).toBe(1);
  });
});

describe('an engine that fails to export', () => {
  it('costs the blocks and nothing else', async () => {
    const tiers = new SyntheticTiers();
    tiers.exportsFail = true;
    tiers.compute(BLOCKS);
    await tiers.settle();
    expect(tiers.manager.match(BLOCKS).blocks).toBe(0);
    expect(tiers.pools.host.availableBlocks).toBe(tiers.pools.host.capacityBlocks);
    tiers.exportsFail = false;
    tiers.compute(BLOCKS);
    await tiers.settle();
    expect(tiers.manager.match(BLOCKS).blocks).toBe(4);
  });
});

describe('the end', () => {
  it('waits for what is under way, and no longer than a deadline for what hangs', async () => {
    const tiers = await onDiskAlone();
    tiers.stores.disk.next = 'stall';
    const asked = tiers.manager.onboard(BLOCKS);
    await soon();
    const closed = tiers.manager[Symbol.asyncDispose]();
    await soon();
    tiers.expire();
    await soon();
    tiers.expire();
    await closed;
    (await asked)[Symbol.dispose]();
  });
});

describe('onboarding', () => {
  it('reads a block once, however many wait for it', async () => {
    const tiers = await onDiskAlone();
    const all = await Promise.all([1, 2, 3].map(() => tiers.manager.onboard(BLOCKS)));
    expect(all.map(({ blocks }) => blocks.length)).toEqual([4, 4, 4]);
    expect(tiers.stores.disk.reads).toBe(4);
    expect(tiers.value('kvbm_onboard_blocks_total{path="d2h"}')).toBe(4);
    expect(tiers.value('kvbm_onboard_blocks_total{path="h2d"}')).toBe(12);
    expect(tiers.pools.host.inactiveBlocks).toBe(0);
    for (const onboarding of all) onboarding[Symbol.dispose]();
    expect(tiers.pools.host.inactiveBlocks).toBe(4);
  });

  it.each<Trouble>(['flip', 'tear', 'missing', 'short_read', 'unavailable', 'io', 'denied'])(
    'takes the copy of the object store when the disk has trouble (%s)',
    async (trouble) => {
      const tiers = await onDiskAlone();
      tiers.stores.disk.next = trouble;
      using onboarding = await tiers.manager.onboard(BLOCKS);
      expect(onboarding.blocks.map(({ bytes }) => bytes)).toEqual(
        BLOCKS.map((block) => bytesOf(block, BLOCK_BYTES)),
      );
      expect(tiers.stores.object.reads).toBe(1);
    },
  );

  it('ends before a block that no tier can give, and drops it there', async () => {
    const tiers = await onDiskAlone();
    tiers.stores.object.kept.clear();
    const slot = [...tiers.stores.disk.kept].find(([, kept]) => kept.described.identity === BLOCKS[2])![0];
    tiers.stores.disk.kept.get(slot)!.bytes[0]! ^= 1;
    using onboarding = await tiers.manager.onboard(BLOCKS);
    expect(onboarding.blocks).toHaveLength(2);
    await tiers.settle();
    expect(tiers.manager.match(BLOCKS).blocks).toBe(2);
    expect(tiers.value('kvbm_faults_total{tier="disk",fault="checksum"}')).toBe(1);
    expect(tiers.value('kvbm_faults_total{tier="object",fault="missing"}')).toBe(1);
  });

  it('gives up a read that takes too long, and keeps its memory until it has really ended', async () => {
    const tiers = await onDiskAlone({ objectBlocks: 1 });
    tiers.stores.object.kept.clear();
    tiers.stores.disk.next = 'stall';
    const asked = tiers.manager.onboard(BLOCKS.slice(0, 1));
    await soon();
    tiers.expire();
    using onboarding = await asked;
    expect(onboarding.blocks).toEqual([]);
    expect(tiers.value('kvbm_faults_total{tier="disk",fault="timeout"}')).toBe(1);
    expect(tiers.pools.host.availableBlocks).toBe(tiers.pools.host.capacityBlocks - 1);
    tiers.resume();
    await soon();
    expect(tiers.pools.host.availableBlocks).toBe(tiers.pools.host.capacityBlocks);
  });

  it('ends with what is there when it is called off', async () => {
    const tiers = await onDiskAlone();
    tiers.stores.disk.next = 'stall';
    const controller = new AbortController();
    const asked = tiers.manager.onboard(BLOCKS, controller.signal);
    await soon();
    controller.abort();
    expect((await asked).blocks).toEqual([]);
    await tiers.settle();
    expect(tiers.pools.host.availableBlocks).toBe(tiers.pools.host.capacityBlocks);
  });

  it('takes no more blocks than host memory can hold', async () => {
    const tiers = await onDiskAlone({ hostBlocks: 3 });
    using onboarding = await tiers.manager.onboard(BLOCKS);
    expect(onboarding.blocks.length).toBeLessThanOrEqual(3);
    expect(onboarding.blocks.length).toBeGreaterThan(0);
  });
});

describe('a tier that fails', () => {
  it('is degraded after some faults, is not counted on, and comes back by itself', async () => {
    const tiers = await onDiskAlone();
    tiers.stores.object.kept.clear();
    for (let i = 0; i < LIMITS.kvbmTierFaults; i++) {
      tiers.stores.disk.next = 'io';
      (await tiers.manager.onboard(BLOCKS.slice(0, 1)))[Symbol.dispose]();
    }
    const degraded = () => tiers.manager.status().filter((tier) => tier.degraded);
    expect(degraded().map(({ tier }) => tier)).toEqual(['disk']);
    expect(tiers.manager.match(BLOCKS).disk).toBe(0);
    expect((await tiers.manager.onboard(BLOCKS)).blocks).toEqual([]);
    tiers.clock.advance(LIMITS.kvbmTierRestMs);
    // One try is let through, then all.
    (await tiers.manager.onboard(BLOCKS.slice(0, 1)))[Symbol.dispose]();
    expect(degraded()).toEqual([]);
    expect((await tiers.manager.onboard(BLOCKS)).blocks).toHaveLength(4);
  });
});

describe('clearing', () => {
  it('drops what nobody holds from memory and disk, and tells of it', async () => {
    const tiers = new SyntheticTiers({ objectBlocks: 1 });
    tiers.compute(BLOCKS);
    await tiers.settle();
    using onboarding = await tiers.manager.onboard(BLOCKS.slice(0, 1));
    expect(onboarding.blocks).toHaveLength(1);
    const removed: string[] = [];
    const end = tiers.manager.subscribe((event) => removed.push(`${event.kind} ${event.tier}`));
    expect(tiers.manager.clear()).toBe(7);
    expect(removed.filter((line) => line === 'removed host')).toHaveLength(3);
    expect(removed.filter((line) => line === 'removed disk')).toHaveLength(4);
    await soon();
    expect(tiers.stores.disk.kept.size).toBe(0);
    end();
    tiers.evict(BLOCKS);
    expect(removed).toHaveLength(7);
  });
});

describe('followers', () => {
  it('who come late hear first what is where, parents before their children, then what happens', async () => {
    const tiers = await onDiskAlone();
    const heard: string[] = [];
    const stop = tiers.manager.follow(({ kind, tier, block }) =>
      heard.push(`${kind} ${tier} ${block.position}`),
    );
    expect(heard).toEqual([0, 1, 2, 3].flatMap((i) => [`stored disk ${i}`, `stored external ${i}`]));
    (await tiers.manager.onboard(BLOCKS.slice(0, 1)))[Symbol.dispose]();
    expect(heard.at(-1)).toBe('stored host 0');
    stop();
    tiers.manager.clear();
    expect(heard.at(-1)).toBe('stored host 0');
  });
});
