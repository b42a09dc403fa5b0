/**
 * Events on ZMQ, for whoever listens: a PUB socket with the messages of NVIDIA Dynamo's direct mode,
 * `[topic][publisher u64be][sequence u64be][frame]`, and a ROUTER socket that sends the latest KV events again. It is asked
 * `["", first sequence u64be]` (DEALER) or `[first sequence]` (REQ) and answers each message as `["", the four parts]`, then
 * `["", "", "", ff×8, ""]`. A subscriber too slow for its queue loses messages, as PUB has it, and finds the gap.
 */

import type { Publisher, Router } from 'zeromq';
import { frameEnvelope } from '../../durable/runtime/event-plane/envelope.ts';
import { TOPIC, type Topic } from '../../durable/runtime/event-plane/subjects.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { loadZmq } from '../zmq/load-zmq.ts';
import type { EventMessage, EventTransport, TransportOptions } from './event-transport.ts';

const ANY_PORT = 'tcp://127.0.0.1:*';
const END = Buffer.alloc(8, 0xff);

type Parts = [topic: string, publisher: Buffer, sequence: Buffer, frame: Uint8Array];

export async function openZmqTransport({
  publisherId,
  settings,
  log,
}: TransportOptions): Promise<EventTransport> {
  const zmq = await loadZmq('event_plane zmq');
  const publisher = new zmq.Publisher({ sendHighWaterMark: LIMITS.zmqQueuedMessages, linger: 0 });
  const router = new zmq.Router({ linger: 0 });
  await publisher.bind(settings.zmqPublish || ANY_PORT);
  await router.bind(settings.zmqReplay || ANY_PORT);
  const transport = new ZmqTransport(publisher, router, u64(publisherId));
  transport.replay().catch((error) => log.error('ZMQ replay ended', { error: String(error) }));
  return transport;
}

class ZmqTransport implements EventTransport {
  readonly addresses: { publish: string; replay: string };
  readonly #publisher: Publisher;
  readonly #router: Router;
  readonly #publisherId: Buffer;
  /** The latest KV events, oldest first. */
  readonly #kept: { sequence: number; parts: Parts }[] = [];
  #keptBytes = 0;

  constructor(publisher: Publisher, router: Router, publisherId: Buffer) {
    this.#publisher = publisher;
    this.#router = router;
    this.#publisherId = publisherId;
    this.addresses = { publish: publisher.lastEndpoint ?? '', replay: router.lastEndpoint ?? '' };
  }

  async publish(topic: Topic, messages: readonly EventMessage[]): Promise<void> {
    for (const { envelope, sequence } of messages) {
      const parts: Parts = [topic, this.#publisherId, u64(BigInt(sequence)), frameEnvelope(envelope)];
      if (topic === TOPIC.kvEvents) this.#keep(sequence, parts);
      await this.#publisher.send(parts);
    }
  }

  /** Answers until the socket is closed. */
  async replay(): Promise<void> {
    for await (const [reader, ...asked] of this.#router) {
      const first = asked.at(-1);
      if (reader === undefined || first?.length !== 8) continue;
      const from = first.readBigUInt64BE();
      for (const { parts, sequence } of [...this.#kept]) {
        if (BigInt(sequence) >= from) await this.#router.send([reader, '', ...parts]);
      }
      await this.#router.send([reader, '', '', '', END, '']);
    }
  }

  async close(): Promise<void> {
    this.#publisher.close();
    this.#router.close();
  }

  #keep(sequence: number, parts: Parts): void {
    this.#kept.push({ sequence, parts });
    this.#keptBytes += parts[3].length;
    while (this.#kept.length > LIMITS.zmqReplayMessages || this.#keptBytes > LIMITS.zmqReplayBytes) {
      this.#keptBytes -= this.#kept.shift()!.parts[3].length;
    }
  }
}

function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}
