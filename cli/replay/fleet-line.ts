/**
 * What a simulated worker says to its router: the frames of the fleet socket, one batch for all that became true at one
 * time. Events come from the engine's own log, numbered from 0.
 */

import { create, toBinary } from '@bufbuild/protobuf';
import type { KvEventSink } from '../../gpu-sidecar/engines/engine.ts';
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

export class FleetLine implements KvEventSink {
  readonly #send: (frame: Uint8Array) => void;
  readonly #tier: StorageTier;
  #batch: Batch = create(BatchSchema);
  #nextEventId = 0n;

  constructor(send: (frame: Uint8Array) => void) {
    this.#send = send;
    this.#tier = StorageTier.DEVICE;
  }

  stored(path: StoredBlocks): void {
    const value = create(KvStoredSchema);
    if (path.parentHash !== null) value.parentHash = path.parentHash;
    value.blockHashes = path.blockHashes;
    value.tokensHashes = path.tokensHashes;
    this.#event({ case: 'stored', value });
  }

  removed(blockHashes: Uint8Array): void {
    this.#event({ case: 'removed', value: create(KvRemovedSchema, { blockHashes }) });
  }

  cleared(): void {
    this.#event({ case: 'cleared', value: create(KvClearedSchema) });
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

  #event(data: KvEvent['data']): void {
    const event = create(KvEventSchema);
    event.eventId = this.#nextEventId++;
    event.storageTier = this.#tier;
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
