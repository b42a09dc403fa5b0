/**
 * Block events in the form of the fleet socket (packed hashes, one path each), told at the end of the turn in which they
 * happened: blocks that follow each other become one event, and so do removals in a row.
 *
 * `lower`: of host, disk and external, each with its tier; the engine tells of its device itself. `one`: a single view of all
 * tiers, for routers that know of none, in which a block is on the device as long as any tier has it.
 */

import { StorageTier } from '../proto/gen/stator/v1/fleet_pb.js';
import type { BlockIdentity } from './block.ts';
import type { BlockEvent, KvTier } from './residency.ts';

/** As WorkerEvents takes them. */
export interface TierEventSink {
  stored(
    path: { parentHash: Uint8Array | null; blockHashes: Uint8Array; tokensHashes: Uint8Array },
    tier: StorageTier,
  ): void;
  removed(blockHashes: Uint8Array, tier: StorageTier): void;
}

const STORAGE_TIER: Readonly<Record<KvTier, StorageTier>> = {
  device: StorageTier.DEVICE,
  host: StorageTier.HOST_PINNED,
  disk: StorageTier.DISK,
  external: StorageTier.EXTERNAL,
};

interface Entry {
  kind: BlockEvent['kind'];
  tier: StorageTier;
  blocks: BlockIdentity[];
}

export class TierEventLog {
  readonly #sink: TierEventSink;
  readonly #view: 'lower' | 'one';
  #entries: Entry[] = [];

  constructor(sink: TierEventSink, view: 'lower' | 'one') {
    this.#sink = sink;
    this.#view = view;
  }

  /** A listener of `Residency`. */
  readonly record = (event: BlockEvent): void => {
    const alone = event.kind === 'stored' ? event.first : event.last;
    if (this.#view === 'one' ? !alone : event.tier === 'device') return;
    const tier = this.#view === 'one' ? StorageTier.DEVICE : STORAGE_TIER[event.tier];
    if (this.#entries.length === 0) queueMicrotask(() => this.#flush());
    const last = this.#entries.at(-1);
    const joins =
      last?.kind === event.kind &&
      last.tier === tier &&
      (event.kind === 'removed' || last.blocks.at(-1)!.hash === event.block.parent);
    if (joins) last.blocks.push(event.block);
    else this.#entries.push({ kind: event.kind, tier, blocks: [event.block] });
  };

  #flush(): void {
    const entries = this.#entries;
    this.#entries = [];
    for (const { kind, tier, blocks } of entries) {
      const blockHashes = packed(blocks.map(({ hash }) => hash));
      if (kind === 'removed') this.#sink.removed(blockHashes, tier);
      else {
        const { parent } = blocks[0]!;
        const parentHash = parent === null ? null : packed([parent]);
        const tokensHashes = packed(blocks.map(({ tokensHash }) => tokensHash));
        this.#sink.stored({ parentHash, blockHashes, tokensHashes }, tier);
      }
    }
  }
}

const packed = (hashes: bigint[]) => new Uint8Array(BigUint64Array.from(hashes).buffer);
