/**
 * Follows an engine's KV events on ZMQ (vLLM, SGLang, TensorRT-LLM's push): SUB for what happens, DEALER for what was missed.
 * Messages are `[topic][number u64be][batch]`; a replay answers the same parts, or without the topic in older versions, and
 * ends with an empty batch. What cannot be read is counted and left out; it never ends the worker.
 */

import type { Dealer, Subscriber } from 'zeromq';
import { StatorError, toStatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import type { Logger } from '../../durable/runtime/log.ts';
import { BatchOrder, type OrderEffect } from './batch-order.ts';
import { decodeEngineBatch } from './engine-batch.ts';
import { type TieredSink, tellEngineEvent } from './engine-events.ts';
import { loadZmq } from './load-zmq.ts';

export interface EngineSubscriberOptions {
  /** `tcp://host:port` of the engine's PUB socket. */
  endpoint: string;
  /** Of its ROUTER socket; empty: it has none, and a gap clears what is known. */
  replayEndpoint: string;
  topic: string;
  blockSizeTokens: number;
  sink: TieredSink;
  count: (what: 'batches' | 'replays' | 'cleared' | 'invalid' | 'passed_over') => void;
  log: Logger;
}

export async function followEngine(options: EngineSubscriberOptions): Promise<EngineSubscriber> {
  const zmq = await loadZmq('KV events of this engine');
  const subscriber = new zmq.Subscriber({ receiveHighWaterMark: LIMITS.zmqQueuedMessages, linger: 0 });
  subscriber.connect(options.endpoint);
  subscriber.subscribe(options.topic);
  const following = new EngineSubscriber(options, subscriber, () => {
    const dealer = new zmq.Dealer({ linger: 0, receiveTimeout: LIMITS.zmqReplayMs });
    dealer.connect(options.replayEndpoint);
    return dealer;
  });
  following
    .run()
    .catch((error) => options.log.error('the engine is not followed any more', { error: String(error) }));
  return following;
}

class EngineSubscriber {
  readonly #options: EngineSubscriberOptions;
  readonly #subscriber: Subscriber;
  readonly #openReplay: () => Dealer;
  readonly #order: BatchOrder<Uint8Array>;
  #closed = false;

  constructor(options: EngineSubscriberOptions, subscriber: Subscriber, openReplay: () => Dealer) {
    this.#options = options;
    this.#subscriber = subscriber;
    this.#openReplay = openReplay;
    const canReplay = options.replayEndpoint !== '';
    this.#order = new BatchOrder({ canReplay, mostWaiting: LIMITS.bufferedEvents });
  }

  /** Until `close`. */
  async run(): Promise<void> {
    for await (const parts of this.#subscriber) {
      const number = parts.at(-2);
      const content = parts.at(-1);
      if (parts.length < 3 || number?.length !== 8 || content === undefined) this.#options.count('invalid');
      else this.#perform(this.#order.live({ number: Number(number.readBigUInt64BE()), content }));
    }
  }

  close(): void {
    this.#closed = true;
    this.#subscriber.close();
  }

  #perform(effects: OrderEffect<Uint8Array>[]): void {
    const { count, sink } = this.#options;
    for (const effect of effects) {
      if (effect.do === 'apply') this.#apply(effect.content);
      else if (effect.do === 'replay') void this.#replay(effect.from);
      else {
        count('cleared');
        sink.cleared();
      }
    }
  }

  #apply(content: Uint8Array): void {
    const { blockSizeTokens, count, log, sink } = this.#options;
    try {
      const { events, passedOver } = decodeEngineBatch(content);
      count('batches');
      for (let left = passedOver; left > 0; left--) count('passed_over');
      for (const event of events) {
        const wrong = tellEngineEvent(event, blockSizeTokens, sink);
        if (wrong !== null) throw new StatorError('invalid_frame', wrong);
      }
    } catch (thrown) {
      count('invalid');
      log.warn('KV events of the engine cannot be used', { reason: toStatorError(thrown).message });
    }
  }

  async #replay(from: number): Promise<void> {
    const dealer = this.#openReplay();
    this.#options.count('replays');
    try {
      const first = Buffer.alloc(8);
      first.writeBigUInt64BE(BigInt(from));
      await dealer.send(['', first]);
      for (;;) {
        const parts = await dealer.receive();
        const content = parts.at(-1);
        const number = parts.at(-2);
        if (this.#closed || content === undefined || content.length === 0 || number?.length !== 8) break;
        this.#perform(this.#order.replayed({ number: Number(number.readBigUInt64BE()), content }));
      }
    } catch (thrown) {
      this.#options.log.warn('the engine does not send its KV events again', { error: String(thrown) });
    } finally {
      dealer.close();
      if (!this.#closed) this.#perform(this.#order.replayEnded());
    }
  }
}
