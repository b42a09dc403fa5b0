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
  KvStoredSchema,
  StorageTier,
} from '../proto/gen/stator/v1/fleet_pb.js';
import { LocalIndex } from './local-index.ts';

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
    return this.#index.size;
  }

  stored(event: { parentHash: Uint8Array | null; blockHashes: Uint8Array; tokensHashes: Uint8Array }): void {
    const { parentHash, blockHashes, tokensHashes } = event;
    this.#index.stored(parentHash, blockHashes, tokensHashes);
    const stored = create(KvStoredSchema, { blockHashes, tokensHashes });
    if (parentHash !== null) stored.parentHash = parentHash;
    this.#add({ case: 'stored', value: stored });
  }

  removed(blockHashes: Uint8Array): void {
    this.#index.removed(blockHashes);
    this.#add({ case: 'removed', value: { $typeName: 'stator.v1.KvRemoved', blockHashes } });
  }

  cleared(): void {
    this.#index.clear();
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
  *dump(): Generator<KvDump> {
    let frame = this.#dumpFrame();
    frame.first = true;
    let blocks = 0;
    for (const path of this.#index.paths(this.#options.dumpBlocksPerFrame)) {
      const pathBlocks = path.blockHashes.length / 8;
      if (blocks > 0 && blocks + pathBlocks > this.#options.dumpBlocksPerFrame) {
        yield frame;
        frame = this.#dumpFrame();
        blocks = 0;
      }
      frame.stored.push(create(KvStoredSchema, path));
      blocks += pathBlocks;
    }
    frame.last = true;
    if (this.#next > 0) frame.lastEventId = BigInt(this.#next - 1);
    yield frame;
  }

  #dumpFrame(): KvDump {
    return create(KvDumpSchema, { dpRank: 0 });
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
