/** Makes the tiers that the settings ask for, and the manager over them; knows again what an earlier life left on disk. */

import { type Clock, wallClock } from '../../durable/runtime/clock.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { Metrics } from '../../durable/runtime/metrics.ts';
import type { BlockIdentity } from './block.ts';
import { BlockPool } from './block-pool.ts';
import { EVICTION_POLICIES, type EvictionName } from './eviction/registry.ts';
import { kvbmGauges, kvbmMetrics, type LowerTierName } from './kvbm-metrics.ts';
import { type BlockLayout, blockBytes, layoutDigest } from './layout.ts';
import { KvBlockManager } from './manager.ts';
import type { ObjectStore } from './objects/object-store.ts';
import { FrequencyFilter } from './offload/frequency-filter.ts';
import type { DevicePort } from './offload/offloader.ts';
import { type BlockListener, type KvTier, Residency } from './residency.ts';
import { DiskStore, type FoundBlocks } from './tiers/disk-store.ts';
import { HostArena } from './tiers/host-arena.ts';
import { HostTier } from './tiers/host-tier.ts';
import { LowerTier } from './tiers/lower-tier.ts';
import { ObjectTierStore } from './tiers/object-tier-store.ts';
import { TierHealth } from './tiers/tier-health.ts';
import { type TierStore, toTierFault } from './tiers/tier-store.ts';

export interface KvbmOptions {
  layout: BlockLayout;
  device: DevicePort;
  /** 0: a small one, for transfers. */
  hostBlocks: number;
  disk: { folder: string; capacityBlocks: number } | null;
  object: { store: ObjectStore; capacityBlocks: number; lookUpShared: boolean } | null;
  eviction: EvictionName;
  /** A block goes below host memory when its count in the filter is this; 1: always. */
  filterLeast: number;
  concurrency: number;
  batch: number;
  /** Other processes of this user may map host memory. */
  shared?: boolean;
  metrics?: Metrics;
  clock?: Clock;
  /** From the start on, so that blocks found on disk are told of. */
  listener?: BlockListener;
  deadline?: () => AbortSignal;
  /** Put between a tier and its bytes: faults, in tests. */
  wrapStore?: (name: LowerTierName, store: TierStore) => TierStore;
}

/** Throws TierFault when a tier cannot be opened, StatorError when the layout makes no sense or memory is short. */
export async function openKvBlockManager(options: KvbmOptions): Promise<KvBlockManager> {
  const size = { blockBytes: blockBytes(options.layout), layout: layoutDigest(options.layout) };
  // First, because it may fail and has nothing to leave behind.
  const hostBlocks = options.hostBlocks || LIMITS.kvbmStagingBlocks;
  const arena = new HostArena({ capacityBlocks: hostBlocks, ...size, shared: options.shared ?? false });
  const clock = options.clock ?? wallClock;
  const registry = options.metrics ?? new Metrics({ prefix: 'stator' });
  const metrics = kvbmMetrics(registry);
  const deadline = options.deadline ?? (() => AbortSignal.timeout(LIMITS.kvbmTransferMs));
  const residency = new Residency();
  if (options.listener) residency.subscribe(options.listener);
  const wrap = options.wrapStore ?? ((_, store) => store);

  const poolOf = (tier: KvTier, capacityBlocks: number, removed?: (block: BlockIdentity) => void) =>
    new BlockPool({
      capacityBlocks,
      eviction: EVICTION_POLICIES[options.eviction](capacityBlocks),
      observer: {
        stored: (block) => residency.stored(tier, block),
        removed(block) {
          residency.removed(tier, block);
          removed?.(block);
        },
      },
    });
  const lowerOf = (name: LowerTierName, pool: BlockPool, store: TierStore) =>
    new LowerTier({ name, pool, store, health: new TierHealth(clock), metrics, deadline });

  const lower: LowerTier[] = [];
  if (options.disk) {
    const { store, found } = await DiskStore.open({ ...options.disk, ...size });
    const pool = poolOf('disk', options.disk.capacityBlocks);
    lower.push(lowerOf('disk', pool, wrap('disk', store)));
    adopt(pool, found);
    for (let i = 0; i < found.dropped; i++) metrics.fault('disk', 'checksum');
  }
  if (options.object) {
    const { capacityBlocks } = options.object;
    const objects = new ObjectTierStore(options.object.store, size);
    const store = wrap('object', objects);
    // Whoever gives a block up deletes its object, whoever put it there.
    const tier: LowerTier = lowerOf(
      'object',
      poolOf('external', capacityBlocks, (identity) => tier.erase(0, { identity, checksum: 0n })),
      store,
    );
    lower.push(tier);
    await objects.trim(capacityBlocks, deadline()).catch((thrown: unknown) => {
      metrics.fault('object', toTierFault(thrown).fault);
    });
  }
  const manager = new KvBlockManager({
    layout: options.layout,
    device: options.device,
    host: new HostTier(poolOf('host', hostBlocks), arena),
    lower,
    filter: new FrequencyFilter({ clock, least: options.filterLeast }),
    metrics,
    residency,
    concurrency: options.concurrency,
    batch: options.batch,
    lookUpShared: options.object?.lookUpShared ?? false,
  });
  kvbmGauges(registry, manager);
  return manager;
}

/** Parents first, so that they are told of before their children; let go of in the other order, as after use. */
function adopt(pool: BlockPool, { blocks }: FoundBlocks): void {
  const holds = blocks.map(({ slot, described }) => pool.adopt(slot, described));
  for (const hold of holds.reverse()) hold?.[Symbol.dispose]();
}
