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
  #next = 0;

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

  stored(path: StoredPath): void {
    this.#index.stored(path);
    this.#add({ case: 'stored', value: toMessage(path) });
  }

  removed(blockHashes: Uint8Array): void {
    this.#index.removed(blockHashes);
    this.#add({ case: 'removed', value: { $typeName: 'stator.v1.KvRemoved', blockHashes } });
  }

  cleared(): void {
    this.#index.cleared();
    this.#add({ case: 'cleared', value: { $typeName: 'stator.v1.KvCleared' } });
  }

  /** Events from an id on, oldest first; null when some of them are gone or the id is not reached yet. */
  since(from: number): KvEvent[] | null {
    if (from < this.oldest || from > this.#next) return null;
    const events: KvEvent[] = [];
    for (let id = from; id < this.#next; id++) events.push(this.#ring[id % this.#options.ring]!);
    return events;
  }

  /** The whole index in frames, parents first; at least one frame, so that an empty index replaces what was there. */
  dump(): KvDump[] {
    const pieces = this.#index.dump(this.#options.dumpBlocksPerFrame);
    const frames = pieces.map((paths) => create(KvDumpSchema, { dpRank: 0, stored: paths.map(toMessage) }));
    frames[0]!.first = true;
    const last = frames.at(-1)!;
    last.last = true;
    if (this.#next > 0) last.lastEventId = BigInt(this.#next - 1);
    return frames;
  }

  #add(data: KvEvent['data']): void {
    const event = create(KvEventSchema, { storageTier: StorageTier.DEVICE });
    event.eventId = BigInt(this.#next);
    event.data = data;
    this.#ring[this.#next % this.#options.ring] = event;
    this.#next++;
    this.#options.changed();
  }
}

function toMessage({ parentHash, blockHashes, tokensHashes }: StoredPath): KvStored {
  const stored = create(KvStoredSchema, { blockHashes, tokensHashes });
  if (parentHash !== null) stored.parentHash = parentHash;
  return stored;
}
