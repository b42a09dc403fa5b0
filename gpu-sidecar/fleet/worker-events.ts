/**
 * The KV events of this worker's engine: numbered from 0 without gaps, the latest kept for whoever missed some, and the
 * sum of all of them for whoever missed more. The engine has one data-parallel rank, number 0.
 */

import { create } from '@bufbuild/protobuf';
import type { KvEventSink } from '../engines/engine.ts';
import {
  type KvDump,
  KvDumpSchema,
  type KvEvent,
  KvEventSchema,
  type KvStored,
  KvStoredSchema,
  StorageTier,
} from '../proto/gen/stator/v1/fleet_pb.js';
import { LocalIndex, type StoredPath } from './local-index.ts';

export interface WorkerEventsOptions {
  /** Events kept. */
  ring: number;
  dumpBlocksPerFrame: number;
  /** Called after every event. */
  changed: () => void;
}

export class WorkerEvents implements KvEventSink {
  readonly #options: WorkerEventsOptions;
  readonly #index = new LocalIndex();
  /** Event n is at n modulo the length. */
  readonly #ring: KvEvent[] = [];
  readonly #watchers = new Set<() => void>();
  #next = 0;
  /** Id of the latest clear. */
  #cleared = -1;
  /** A dump that a router takes piece by piece. */
  #snapshot: { frames: Generator<KvDump, undefined>; next: number } | null = null;

  constructor(options: WorkerEventsOptions) {
    this.#options = options;
  }

  /** The id that the next event will have. */
  get next(): number {
    return this.#next;
  }

  /** The oldest id that `since` still has. */
  get oldest(): number {
    return Math.max(0, this.#next - this.#options.ring);
  }

  get blocks(): number {
    return this.#index.blocks;
  }

  /** Calls back after every event; the returned function ends that. */
  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  stored(path: StoredPath, tier = StorageTier.DEVICE): void {
    this.#index.stored(path, tier);
    this.#add({ case: 'stored', value: toMessage(path) }, tier);
  }

  removed(blockHashes: Uint8Array, tier = StorageTier.DEVICE): void {
    this.#index.removed(blockHashes, tier);
    this.#add({ case: 'removed', value: { $typeName: 'stator.v1.KvRemoved', blockHashes } }, tier);
  }

  /** Of all tiers. */
  cleared(): void {
    this.#index.cleared();
    this.#cleared = this.#next;
    this.#add({ case: 'cleared', value: { $typeName: 'stator.v1.KvCleared' } });
  }

  /**
   * Where somebody who lacks the events from an id on may begin: there, or at the latest clear, which makes those before it
   * moot. Null when it must be a dump, or when the id is not reached yet.
   */
  startFor(from: number): number | null {
    if (from > this.#next) return null;
    if (from >= this.oldest) return from;
    return this.#cleared >= this.oldest ? this.#cleared : null;
  }

  /** Events from an id on, oldest first, as far as `startFor` allows. */
  since(from: number): KvEvent[] | null {
    const start = this.startFor(from);
    if (start === null) return null;
    const events: KvEvent[] = [];
    for (let id = start; id < this.#next; id++) events.push(this.#ring[id % this.#options.ring]!);
    return events;
  }

  /** The whole index in frames, parents first; at least one frame, so that an empty index replaces what was there. */
  dump(): KvDump[] {
    this.#snapshot = null;
    return [...this.#frames()];
  }

  /**
   * One frame of a dump that is taken piece by piece, for a router to keep: piece 0 begins, each is had once. The event it
   * names is the last before it began. Null when this piece does not follow, or a whole dump came in between.
   */
  snapshotPiece(piece: number): KvDump | null {
    if (piece === 0) this.#snapshot = { frames: this.#frames(), next: 0 };
    if (this.#snapshot?.next !== piece) return null;
    this.#snapshot.next++;
    const { value } = this.#snapshot.frames.next();
    if (!value || value.last) this.#snapshot = null;
    if (value) value.snapshotPiece = piece;
    return value ?? null;
  }

  *#frames(): Generator<KvDump, undefined> {
    const lastEventId = this.#next - 1;
    let waiting: KvDump | null = null;
    for (const { tier, paths } of this.#index.dump(this.#options.dumpBlocksPerFrame)) {
      if (waiting) yield waiting;
      const stored = paths.map(toMessage);
      waiting = create(KvDumpSchema, { first: waiting === null, storageTier: tier, stored });
    }
    if (!waiting) return;
    waiting.last = true;
    if (lastEventId >= 0) waiting.lastEventId = BigInt(lastEventId);
    yield waiting;
  }

  #add(data: KvEvent['data'], storageTier = StorageTier.DEVICE): void {
    const event = create(KvEventSchema, { storageTier });
    event.eventId = BigInt(this.#next);
    event.data = data;
    this.#ring[this.#next % this.#options.ring] = event;
    this.#next++;
    this.#options.changed();
    for (const watcher of this.#watchers) watcher();
  }
}

function toMessage({ parentHash, blockHashes, tokensHashes }: StoredPath): KvStored {
  const stored = create(KvStoredSchema, { blockHashes, tokensHashes });
  if (parentHash !== null) stored.parentHash = parentHash;
  return stored;
}
