/**
 * A manager over tiers in memory whose faults, delays and deadlines a test commands, and an engine that has nothing but blocks.
 *
 * What "disk" and "objects" keep survives `crash`. Bytes are damaged where they are kept, below the checksums. A stalled read or write
 * goes on when it is resumed, long after its deadline if the test wants: it then really writes its memory.
 */

import { ManualClock } from '../../../durable/runtime/clock.ts';
import { Metrics } from '../../../durable/runtime/metrics.ts';
import type { BlockIdentity } from '../../../gpu-sidecar/kvbm/block.ts';
import { BlockPool } from '../../../gpu-sidecar/kvbm/block-pool.ts';
import { EVICTION_POLICIES, type EvictionName } from '../../../gpu-sidecar/kvbm/eviction/registry.ts';
import { kvbmMetrics, type LowerTierName } from '../../../gpu-sidecar/kvbm/kvbm-metrics.ts';
import { KvBlockManager } from '../../../gpu-sidecar/kvbm/manager.ts';
import { FrequencyFilter } from '../../../gpu-sidecar/kvbm/offload/frequency-filter.ts';
import { type BlockEvent, type KvTier, Residency } from '../../../gpu-sidecar/kvbm/residency.ts';
import { blockChecksum } from '../../../gpu-sidecar/kvbm/tiers/checksum.ts';
import { HostArena } from '../../../gpu-sidecar/kvbm/tiers/host-arena.ts';
import { HostTier } from '../../../gpu-sidecar/kvbm/tiers/host-tier.ts';
import { LowerTier } from '../../../gpu-sidecar/kvbm/tiers/lower-tier.ts';
import { TierHealth } from '../../../gpu-sidecar/kvbm/tiers/tier-health.ts';
import {
  type BlockDescription,
  type Fault,
  TierFault,
  type TierStore,
} from '../../../gpu-sidecar/kvbm/tiers/tier-store.ts';
import { bytesOf, LAYOUT } from './named-blocks.ts';

export const BLOCK_BYTES = 32;

/** What the next operation of a store does. */
export type Trouble = Fault | 'flip' | 'tear' | 'stall';

export class MemoryStore implements TierStore {
  /** By slot, as a disk keeps them. */
  readonly kept = new Map<number, { described: BlockDescription; bytes: Uint8Array }>();
  readonly stalled: (() => void)[] = [];
  next: Trouble | null = null;
  reads = 0;

  async write(slot: number, described: BlockDescription, bytes: Uint8Array): Promise<void> {
    const trouble = await this.#trouble();
    this.kept.delete(slot);
    const copy = bytes.slice();
    if (trouble === 'flip') copy[5]! ^= 1;
    this.kept.set(slot, { described, bytes: trouble === 'tear' ? copy.subarray(0, 9) : copy });
  }

  async read(slot: number, described: BlockDescription, into: Uint8Array): Promise<bigint> {
    this.reads++;
    const trouble = await this.#trouble();
    const kept = this.kept.get(slot);
    if (!kept) throw new TierFault('missing', 'nothing there');
    into.set(kept.bytes);
    if (trouble === 'flip') into[7]! ^= 4;
    if (kept.bytes.length < into.length || trouble === 'tear') throw new TierFault('short_read', 'torn');
    if (blockChecksum(described.identity.hash, into) !== described.checksum)
      throw new TierFault('checksum', 'damaged');
    return described.checksum;
  }

  async erase(slot: number, described: BlockDescription): Promise<void> {
    if (this.kept.get(slot)?.described === described) this.kept.delete(slot);
  }

  async close(): Promise<void> {}

  async #trouble(): Promise<Trouble | null> {
    const trouble = this.next;
    this.next = null;
    if (trouble === 'stall') await new Promise<void>((resolve) => this.stalled.push(resolve));
    else if (trouble !== null && trouble !== 'flip' && trouble !== 'tear')
      throw new TierFault(trouble, 'commanded');
    return trouble;
  }
}

export interface SyntheticOptions {
  hostBlocks?: number;
  diskBlocks?: number;
  objectBlocks?: number;
  eviction?: EvictionName;
  filterLeast?: number;
  batch?: number;
}

export class SyntheticTiers {
  readonly clock = new ManualClock(1_000);
  readonly metrics = new Metrics({ prefix: 'stator' });
  readonly events: BlockEvent[] = [];
  readonly stores: Record<LowerTierName, MemoryStore> = {
    disk: new MemoryStore(),
    object: new MemoryStore(),
  };
  /** What the engine has. */
  readonly device = new Map<bigint, BlockIdentity>();
  readonly exports: number[] = [];
  readonly urgentExports: bigint[] = [];
  exportsFail = false;
  manager!: KvBlockManager;
  pools!: Record<'host' | LowerTierName, BlockPool>;
  readonly #counted = kvbmMetrics(this.metrics);
  readonly #options: Required<SyntheticOptions>;
  #deadlines: AbortController[] = [];

  constructor(options: SyntheticOptions = {}) {
    this.#options = {
      hostBlocks: 6,
      diskBlocks: 8,
      objectBlocks: 8,
      eviction: 'lru',
      filterLeast: 1,
      batch: 4,
      ...options,
    };
    this.#open();
  }

  /** The engine has computed these. */
  compute(blocks: readonly BlockIdentity[]): void {
    const fresh = blocks.filter(({ hash }) => !this.device.has(hash));
    for (const block of fresh) this.device.set(block.hash, block);
    this.manager.stored(blocks);
  }

  /** The engine has given these up. */
  evict(blocks: readonly BlockIdentity[]): void {
    for (const { hash } of blocks) this.device.delete(hash);
    this.manager.removed(blocks);
  }

  /** All operations under way have taken too long. */
  expire(): void {
    for (const deadline of this.#deadlines.splice(0))
      deadline.abort(new DOMException('late', 'TimeoutError'));
  }

  /** Stalled operations go on. */
  resume(): void {
    for (const store of Object.values(this.stores)) for (const go of store.stalled.splice(0)) go();
  }

  /** Everything under way ends, well or not. */
  async settle(): Promise<void> {
    for (let round = 0; round < 3; round++) {
      await soon();
      this.expire();
      this.resume();
    }
    await this.manager.whenIdle();
    await soon();
  }

  /** The process dies and comes back: memory is lost, what the lower tiers keep is found again. */
  crash(): void {
    this.device.clear();
    this.resume();
    this.#open();
  }

  value(line: string): number {
    const found = this.metrics
      .text()
      .split('\n')
      .find((text) => text.startsWith(`stator_${line} `));
    return Number(found?.split(' ').at(-1) ?? 0);
  }

  #open(): void {
    const { hostBlocks, diskBlocks, objectBlocks, eviction, filterLeast, batch } = this.#options;
    const residency = new Residency();
    this.events.length = 0;
    residency.subscribe((event) => this.events.push(event));
    const device = this.device;
    const poolOf = (tier: KvTier, capacityBlocks: number) =>
      new BlockPool({
        capacityBlocks,
        eviction: EVICTION_POLICIES[eviction](capacityBlocks),
        observer: {
          stored: (block) => residency.stored(tier, block),
          removed: (block) => residency.removed(tier, block),
        },
      });
    this.pools = {
      host: poolOf('host', hostBlocks),
      disk: poolOf('disk', diskBlocks),
      object: poolOf('external', objectBlocks),
    };
    const lower = (['disk', 'object'] as const).map((name) => {
      const pool = this.pools[name];
      const found = [...this.stores[name].kept].sort(
        ([, a], [, b]) => a.described.identity.position - b.described.identity.position,
      );
      for (const [slot, { described }] of found) pool.adopt(slot, described)?.[Symbol.dispose]();
      return new LowerTier({
        name,
        pool,
        store: this.stores[name],
        health: new TierHealth(this.clock),
        metrics: this.#counted,
        deadline: () => this.#deadline(),
      });
    });
    this.manager = new KvBlockManager({
      layout: { ...LAYOUT, blockSizeTokens: 1, overheadBytes: 0 },
      device: {
        exportBlocks: async (blocks, { urgent }) => {
          this.exports.push(blocks.length);
          if (urgent) this.urgentExports.push(...blocks.map(({ identity }) => identity.hash));
          if (this.exportsFail) throw new Error('the engine cannot');
          const done = blocks.map(({ identity, into }) => {
            if (!device.has(identity.hash)) return false;
            into.set(bytesOf(identity, into.length));
            return true;
          });
          return done;
        },
      },
      host: new HostTier(
        this.pools.host,
        new HostArena({ capacityBlocks: hostBlocks, blockBytes: BLOCK_BYTES }),
      ),
      lower,
      filter: new FrequencyFilter({ clock: this.clock, least: filterLeast }),
      metrics: this.#counted,
      residency,
      concurrency: 2,
      batch,
      lookUpShared: false,
    });
  }

  #deadline(): AbortSignal {
    const deadline = new AbortController();
    this.#deadlines.push(deadline);
    return deadline.signal;
  }
}

/** After everything that is ready to run has run. */
export const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
