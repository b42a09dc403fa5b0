/**
 * What a simulated worker says to its router: the frames of the fleet socket, one batch for all that became true at one
 * time. Events come from the engine's own log, numbered from 0.
 */

import { create, toBinary } from '@bufbuild/protobuf';
import type { KvEventSink } from '../../gpu-sidecar/engines/engine.ts';
import { packed } from '../../gpu-sidecar/engines/kv-event-log.ts';
import type { HostEvents } from '../../gpu-sidecar/engines/mock/host-offload.ts';
import {
  type Batch,
  BatchSchema,
  KvClearedSchema,
  type KvEvent,
  KvEventSchema,
  KvRemovedSchema,
  KvStoredSchema,
  Phase,
  RequestProgressSchema,
  StorageTier,
  WorkerFrameSchema,
} from '../../gpu-sidecar/proto/gen/stator/v1/fleet_pb.js';

type StoredBlocks = Parameters<KvEventSink['stored']>[0];
type Tier = typeof StorageTier.DEVICE | typeof StorageTier.HOST_PINNED;

export class FleetLine implements KvEventSink {
  readonly #send: (frame: Uint8Array) => void;
  #batch: Batch = create(BatchSchema);
  #nextEventId = 0n;

  constructor(send: (frame: Uint8Array) => void) {
    this.#send = send;
  }

  /** The same for what the worker has in host memory. */
  readonly host: HostEvents = {
    stored: (path, from, to) => {
      const parentHash = from === 0 ? null : packed(path.sequenceHashes, from - 1, from);
      const blockHashes = packed(path.sequenceHashes, from, to);
      const tokensHashes = packed(path.localHashes, from, to);
      this.#stored({ parentHash, blockHashes, tokensHashes }, StorageTier.HOST_PINNED);
    },
    removed: (blocks) => {
      const words = Uint32Array.from(blocks.flatMap(({ low, high }) => [low, high]));
      this.#removed(new Uint8Array(words.buffer), StorageTier.HOST_PINNED);
    },
  };

  stored(path: StoredBlocks): void {
    this.#stored(path, StorageTier.DEVICE);
  }

  removed(blockHashes: Uint8Array): void {
    this.#removed(blockHashes, StorageTier.DEVICE);
  }

  cleared(): void {
    this.#event({ case: 'cleared', value: create(KvClearedSchema) }, StorageTier.DEVICE);
  }

  #stored(path: StoredBlocks, tier: Tier): void {
    const value = create(KvStoredSchema);
    if (path.parentHash !== null) value.parentHash = path.parentHash;
    value.blockHashes = path.blockHashes;
    value.tokensHashes = path.tokensHashes;
    this.#event({ case: 'stored', value }, tier);
  }

  #removed(blockHashes: Uint8Array, tier: Tier): void {
    this.#event({ case: 'removed', value: create(KvRemovedSchema, { blockHashes }) }, tier);
  }

  accepted(reservation: number): void {
    this.#progress(reservation, Phase.ACCEPTED, 0);
  }

  firstToken(reservation: number, cachedTokens: number): void {
    this.#progress(reservation, Phase.FIRST_TOKEN, 1).cachedTokens = cachedTokens;
  }

  grown(reservation: number, outputTokens: number): void {
    this.#progress(reservation, Phase.GROWTH, outputTokens);
  }

  ended(reservation: number, outputTokens: number, reason: string): void {
    this.#progress(reservation, Phase.END, outputTokens).finishReason = reason;
  }

  /** Sends what was said since the last time, if anything. */
  flush(): void {
    const batch = this.#batch;
    if (batch.kvEvents.length === 0 && batch.progress.length === 0) return;
    this.#batch = create(BatchSchema);
    this.#send(batchFrame(batch));
  }

  #event(data: KvEvent['data'], tier: Tier): void {
    const event = create(KvEventSchema);
    event.eventId = this.#nextEventId++;
    event.storageTier = tier;
    event.data = data;
    this.#batch.kvEvents.push(event);
  }

  #progress(reservation: number, phase: Phase, outputTokens: number) {
    const progress = create(RequestProgressSchema);
    progress.reservation = reservation;
    progress.phase = phase;
    progress.outputTokens = outputTokens;
    this.#batch.progress.push(progress);
    return progress;
  }
}

/** An empty batch is the heartbeat. */
export const batchFrame = (value: Batch = create(BatchSchema)): Uint8Array =>
  toBinary(WorkerFrameSchema, create(WorkerFrameSchema, { frame: { case: 'batch', value } }));
