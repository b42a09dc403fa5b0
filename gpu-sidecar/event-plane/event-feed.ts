/**
 * A worker's KV events and load on an event plane: read from the ring by a cursor and sent in order, so nothing is kept
 * twice and a slow plane costs no memory. What falls out of the ring, or is lost on the way, is a gap in the ids: the router
 * finds it and asks over the fleet socket. For what nothing follows, the newest event goes over that socket, too, whenever
 * events have been quiet for a while, or the plane is away (`anchor`).
 */

import type { Clock } from '../../durable/runtime/clock.ts';
import { encodeActiveLoad } from '../../durable/runtime/event-plane/active-load.ts';
import { encodeEnvelope } from '../../durable/runtime/event-plane/envelope.ts';
import { type EventChange, encodeRouterEvents } from '../../durable/runtime/event-plane/router-event.ts';
import { TOPIC, type Topic } from '../../durable/runtime/event-plane/subjects.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import type { Logger } from '../../durable/runtime/log.ts';
import type { EngineLoad } from '../engines/engine.ts';
import type { WorkerEvents } from '../fleet/worker-events.ts';
import type { KvEvent } from '../proto/gen/stator/v1/fleet_pb.js';
import type { Timers } from '../timers.ts';
import type { EventMessage, EventTransport } from './event-transport.ts';

export interface EventFeedOptions {
  events: WorkerEvents;
  load: () => EngineLoad;
  /** The instance. */
  publisherId: bigint;
  /** Start of this process: event ids begin anew with it. */
  epoch: number;
  /** The newest event is to be told over the fleet socket, too; null: all of them are. */
  anchor: (() => void) | null;
  count: (what: 'sent' | 'lost', messages: number) => void;
  clock: Clock;
  timers: Timers;
  log: Logger;
}

const NO_BYTES = new Uint8Array(0);

export class EventFeed {
  readonly #options: EventFeedOptions;
  #transport: EventTransport | null = null;
  /** Next event to send. */
  #cursor = 0;
  readonly #sequences: Record<Topic, number> = { [TOPIC.kvEvents]: 0, [TOPIC.load]: 0 };
  #toldLoad = '';
  #sending: Promise<void> | null = null;
  #ended = false;
  /** Whether the last attempt was in vain; the log says it once. */
  #failing = false;
  #cancelTick: () => void = () => {};
  /** `next` at the last tick, and when the newest event was last told otherwise. */
  #seen = 0;
  #anchored = 0;

  constructor(options: EventFeedOptions) {
    this.#options = options;
  }

  start(transport: EventTransport): void {
    this.#transport = transport;
    this.#tick();
    this.changed();
  }

  /** Something happened: it is sent at once, or after what is being sent. */
  changed(): void {
    if (this.#transport === null || this.#ended || this.#sending !== null) return;
    this.#sending = this.#send(this.#transport).then(
      () => {
        this.#sending = null;
      },
      (error) => {
        this.#sending = null;
        this.#options.log.error('the event feed failed', { error: String(error) });
      },
    );
  }

  /** Sends what is left, and closes the plane. */
  async close(): Promise<void> {
    this.#cancelTick();
    this.changed();
    await this.#sending;
    this.#ended = true;
    await this.#transport?.close();
  }

  async #send(transport: EventTransport): Promise<void> {
    // What changes in this turn goes together.
    await Promise.resolve();
    for (;;) {
      const load = this.#changedLoad();
      if (load !== null) await this.#publish(transport, TOPIC.load, [load]);
      const events = this.#nextEvents();
      if (events.length > 0) await this.#publish(transport, TOPIC.kvEvents, events);
      else if (load === null) return;
    }
  }

  async #publish(transport: EventTransport, topic: Topic, messages: EventMessage[]): Promise<void> {
    const { count, log } = this.#options;
    try {
      await transport.publish(topic, messages);
      count('sent', messages.length);
      this.#failing = false;
    } catch (thrown) {
      count('lost', messages.length);
      if (!this.#failing) log.warn('the event plane lost messages', { topic, error: String(thrown) });
      this.#failing = true;
    }
  }

  /** Some of what the ring has from the cursor on. */
  #nextEvents(): EventMessage[] {
    const { events, epoch, publisherId } = this.#options;
    const waiting = events.since(Math.max(this.#cursor, events.oldest)) ?? [];
    const chosen: EventMessage[] = [];
    let bytes = 0;
    for (const event of waiting) {
      if (chosen.length === LIMITS.eventPlaneBatch || bytes > LIMITS.eventPlaneBatchBytes) break;
      const { dpRank } = event;
      const eventId = Number(event.eventId);
      const change = changeOf(event);
      const payload = encodeRouterEvents([{ workerId: publisherId, dpRank, eventId, change }]);
      const message = this.#message(TOPIC.kvEvents, payload, `${publisherId}/${epoch}/${eventId}`);
      bytes += message.envelope.length;
      chosen.push(message);
      this.#cursor = eventId + 1;
    }
    return chosen;
  }

  #changedLoad(): EventMessage | null {
    const { load, publisherId } = this.#options;
    const { running, waiting, kvUsedBlocks } = load();
    const told = [running, waiting, kvUsedBlocks].join();
    if (told === this.#toldLoad) return null;
    this.#toldLoad = told;
    const payload = encodeActiveLoad({ workerId: publisherId, dpRank: 0, running, waiting, kvUsedBlocks });
    return this.#message(TOPIC.load, payload, '');
  }

  #message(topic: Topic, payload: Uint8Array, id: string): EventMessage {
    const { clock, publisherId } = this.#options;
    const sequence = this.#sequences[topic]++;
    const envelope = encodeEnvelope({ publisherId, sequence, publishedMs: clock.nowMs(), topic, payload });
    return { sequence, id, envelope };
  }

  #tick(): void {
    const { anchor, events, timers } = this.#options;
    const { next } = events;
    const quiet = next === this.#seen;
    this.#seen = next;
    if (anchor !== null && (quiet || this.#failing) && this.#anchored !== next) {
      this.#anchored = next;
      anchor();
    }
    this.#cancelTick = timers.after(LIMITS.eventPlaneQuietMs, () => {
      this.changed();
      this.#tick();
    });
  }
}

function changeOf({ data, storageTier }: KvEvent): EventChange {
  const tier = storageTier as 0 | 1 | 2 | 3;
  switch (data.case) {
    case 'stored': {
      const { blockHashes, parentHash, tokensHashes } = data.value;
      return { kind: 'stored', tier, parentHash: parentHash ?? NO_BYTES, blockHashes, tokensHashes };
    }
    case 'removed':
      return { kind: 'removed', tier, blockHashes: data.value.blockHashes };
    default:
      return { kind: 'cleared' };
  }
}
