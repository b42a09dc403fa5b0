/**
 * KV events from JetStream: read in order from where the snapshots end, then as they come. A router that restarts so gets
 * what it missed without asking anybody; what has left the stream meanwhile is a gap in the events' ids, and asked for as ever.
 *
 * Reading begins when the workers have had time to come back, because events of unknown workers mean nothing.
 */

import {
  type ConsumerMessages,
  DeliverPolicy,
  type JsMsg,
  jetstream,
  jetstreamManager,
} from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import { LIMITS } from '../../runtime/limits.ts';
import { ensureKvStream, kvStreamName } from '../../runtime/nats/kv-stream-config.ts';
import type { EventSourceOptions } from './event-source.ts';

export class KeptEvents {
  readonly #options: EventSourceOptions;
  readonly #receive: (data: Uint8Array) => void;
  readonly #stream: string;
  #messages: ConsumerMessages | null = null;
  /** Number of the newest message that was handled. */
  #position = 0;
  /** That there was when reading began. */
  #goal = 0;
  /** Position at the beginning of a round of snapshots. */
  #roundPosition: number | null = null;
  #first = true;

  constructor(options: EventSourceOptions, receive: (data: Uint8Array) => void) {
    this.#options = options;
    this.#receive = receive;
    this.#stream = kvStreamName(options.namespace);
    // From the beginning: a worker may come back before the server does.
    this.#catchUp(options.position.read(this.#stream) !== null);
    // Without a server the workers are asked, and not waited for it.
    options.after(LIMITS.kvStreamWaitMs + LIMITS.natsConnectMs, () => {
      if (this.#first) this.#catchUp(false);
    });
  }

  /** A new connection, or the first. */
  async open(connection: NatsConnection): Promise<void> {
    const { namespace, position, sink } = this.#options;
    const manager = await jetstreamManager(connection);
    await ensureKvStream(manager, namespace);
    if (this.#first && position.read(this.#stream) !== null) await this.#workersBack();
    const { state } = await manager.streams.info(this.#stream);
    const kept = this.#first ? position.read(this.#stream) : this.#position;
    this.#first = false;
    this.#goal = state.last_seq;
    // Another life of the stream has other numbers.
    const start = kept === null ? state.last_seq + 1 : kept > state.last_seq ? state.first_seq : kept + 1;
    if (kept !== null && (kept > state.last_seq || kept + 1 < state.first_seq)) sink.note('truncated');
    this.#position = start - 1;
    this.#catchUp(this.#position < this.#goal);
    const consumer = await jetstream(connection).consumers.get(this.#stream, {
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: Math.max(start, 1),
    });
    this.#messages?.stop();
    this.#messages = await consumer.consume({ callback: (message) => this.#handle(message) });
  }

  snapshot(what: 'begins' | 'ends'): void {
    if (what === 'begins') this.#roundPosition = this.#position;
    else if (this.#roundPosition !== null) {
      this.#options.position.write(this.#stream, this.#roundPosition);
      this.#roundPosition = null;
    }
  }

  #handle({ data, seq }: JsMsg): void {
    if (seq <= this.#position) return;
    this.#position = seq;
    if (seq <= this.#goal) this.#options.sink.note('replayed');
    this.#receive(data);
    if (seq >= this.#goal) this.#catchUp(false);
  }

  #catchUp(isBehind: boolean): void {
    this.#options.sink.behind(isBehind);
  }

  /** They dial again within `LIMITS.reconnectMaxMs`, and their snapshots are to be read first. */
  async #workersBack(): Promise<void> {
    const { after, sink } = this.#options;
    const pause = (ms: number) => new Promise<void>((resolve) => after(ms, resolve));
    await pause(LIMITS.kvStreamWaitMs);
    while (sink.restores()) await pause(LIMITS.snapshotPauseMs);
  }
}
