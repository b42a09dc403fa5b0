/**
 * What a worker has to tell its router, cut into batches.
 *
 * Events are read from the ring by a cursor, so nothing is kept twice and a slow router costs no memory: what
 * falls out of the ring leaves a gap in the ids, the router sees it and asks for a dump. After a new `Welcome` the last
 * event is told again: whoever had it ignores it, whoever missed more sees the gap.
 *
 * Where an event plane carries events and load (`elsewhere`), only what the router asked for goes this way, and `anchor`s: the
 * newest event and the load, so that nothing stays missed for long.
 *
 * Passes of the engine go with a load that is told anyway, and make it be told when they fill a report; always this way.
 */

import { create, toBinary } from '@bufbuild/protobuf';
import { LIMITS } from '../../durable/runtime/limits.ts';
import type { PassSample } from '../../durable/runtime/pass-sample.ts';
import type { EngineLoad } from '../engines/engine.ts';
import type { TierStatus } from '../kvbm/manager.ts';
import {
  type Batch,
  BatchSchema,
  EnginePassSchema,
  type KvEvent,
  type LoadMetrics,
  LoadMetricsSchema,
  Phase,
  RequestProgressSchema,
  StorageTier,
  type TierLoad,
  TierLoadSchema,
  WorkerFrameSchema,
} from '../proto/gen/stator/v1/fleet_pb.js';
import type { ProgressBook, RequestProgress } from './progress.ts';
import type { WorkerEvents } from './worker-events.ts';

/** Bytes of an event beside its hashes, generously. */
const EVENT_OVERHEAD_BYTES = 64;

export interface OutboxOptions {
  events: WorkerEvents;
  progress: ProgressBook;
  load: () => EngineLoad;
  /** Passes of the engine; absent: it tells none. */
  passes?: PassSample;
  /** Largest frame. */
  frameBytes: number;
  /** Events and load go by an event plane. */
  elsewhere?: boolean;
}

export class Outbox {
  readonly #options: OutboxOptions;
  /** Next event to tell. */
  #cursor = 0;
  /** Where `elsewhere`: events from here on do not go this way, nor does the load unless it is due. */
  #until = 0;
  #loadDue = false;
  #toldLoad = '';
  /** The router asks for them. */
  #passes: PassSample | null = null;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  get empty(): boolean {
    return this.#cursor >= this.#end && this.#options.progress.size === 0;
  }

  get #end(): number {
    return this.#options.elsewhere ? this.#until : this.#options.events.next;
  }

  /** The newest event and the load go this way, too. */
  anchor(): void {
    const { next } = this.#options.events;
    // What was asked for again, and waits, goes before it.
    if (this.#cursor >= this.#until) this.#cursor = Math.max(next - 1, 0);
    this.#until = next;
    this.#loadDue = true;
  }

  /** A router answered: it may know everything but the last event, or nothing. */
  welcomed({ routerBoot, wantsPasses }: { routerBoot: number; wantsPasses: boolean }): void {
    this.#cursor = 0;
    this.#until = 0;
    this.anchor();
    this.#options.progress.boot(routerBoot);
    this.#toldLoad = '';
    this.#passes = wantsPasses ? (this.#options.passes ?? null) : null;
  }

  /** Tells the events from an id on again; false when they are gone. */
  rewind(from: number): boolean {
    const start = this.#options.events.startFor(from);
    if (start === null) return false;
    this.#cursor = Math.min(this.#cursor, start);
    this.#until = this.#options.events.next;
    return true;
  }

  /** A dump includes everything up to now. */
  dumped(): void {
    this.#cursor = this.#options.events.next;
    this.#until = this.#cursor;
  }

  /** Frames for everything that waits, the load with the first when it changed; none when there is nothing new. */
  frames(): Uint8Array[] {
    const frames: Uint8Array[] = [];
    const progress = this.#options.progress.take(toMessage);
    let kvEvents = this.#nextEvents();
    let load = this.#changedLoad();
    while (kvEvents.length > 0 || progress.length > 0 || load !== null) {
      const batch = create(BatchSchema, { kvEvents });
      batch.progress = progress.splice(0, LIMITS.progressPerBatch);
      if (load !== null) batch.load = load;
      frames.push(encodeBatch(batch));
      kvEvents = this.#nextEvents();
      load = null;
    }
    return frames;
  }

  /** As many events as fit into one frame with room for the rest. */
  #nextEvents(): KvEvent[] {
    const { events, frameBytes } = this.#options;
    if (this.#cursor >= this.#end) return [];
    const waiting = events.since(Math.max(this.#cursor, events.oldest)) ?? [];
    const chosen: KvEvent[] = [];
    let bytes = 0;
    for (const event of waiting) {
      if (Number(event.eventId) >= this.#end) break;
      bytes += eventBytes(event);
      if (chosen.length > 0 && bytes > frameBytes / 2) break;
      chosen.push(event);
    }
    if (chosen.length > 0) this.#cursor = Number(chosen.at(-1)!.eventId) + 1;
    return chosen;
  }

  #changedLoad(): LoadMetrics | null {
    const passes = this.#passes?.size ?? 0;
    const due = passes >= LIMITS.passesPerReport || (this.#loadDue && passes > 0);
    if (this.#options.elsewhere && !this.#loadDue && !due) return null;
    this.#loadDue = false;
    const { running, waiting, kvUsedBlocks, tiers = [], decodeKvTokens } = this.#options.load();
    const figures = tiers.map(({ capacityBlocks, registeredBlocks, degraded }) => [
      capacityBlocks,
      registeredBlocks,
      degraded,
    ]);
    const load = [running, waiting, kvUsedBlocks, ...figures].join();
    if (load === this.#toldLoad && !due) return null;
    this.#toldLoad = load;
    const message = create(LoadMetricsSchema, { running, waiting, kvUsedBlocks, tiers: tiers.map(tierLoad) });
    if (decodeKvTokens !== undefined) message.decodeKvTokens = decodeKvTokens;
    if (passes > 0) message.passes = this.#passes!.take().map((pass) => create(EnginePassSchema, pass));
    return message;
  }
}

const STORAGE_TIER = {
  host: StorageTier.HOST_PINNED,
  disk: StorageTier.DISK,
  object: StorageTier.EXTERNAL,
} as const;

const tierLoad = ({ tier, capacityBlocks, registeredBlocks, degraded }: TierStatus): TierLoad =>
  create(TierLoadSchema, {
    storageTier: STORAGE_TIER[tier],
    capacityBlocks: BigInt(capacityBlocks),
    blocks: BigInt(registeredBlocks),
    degraded,
  });

/** The heartbeat: a batch with nothing in it. */
export const heartbeatFrame = (): Uint8Array => encodeBatch(create(BatchSchema));

const encodeBatch = (value: Batch): Uint8Array =>
  toBinary(WorkerFrameSchema, create(WorkerFrameSchema, { frame: { case: 'batch', value } }));

function eventBytes(event: KvEvent): number {
  switch (event.data.case) {
    case 'stored':
      return EVENT_OVERHEAD_BYTES + 2 * event.data.value.blockHashes.length;
    case 'removed':
      return EVENT_OVERHEAD_BYTES + event.data.value.blockHashes.length;
    default:
      return EVENT_OVERHEAD_BYTES;
  }
}

const PHASES = {
  accepted: Phase.ACCEPTED,
  'first-token': Phase.FIRST_TOKEN,
  growth: Phase.GROWTH,
  end: Phase.END,
} as const;

function toMessage({ waiting: _, phase, ...progress }: RequestProgress) {
  return create(RequestProgressSchema, { ...progress, phase: PHASES[phase] });
}
