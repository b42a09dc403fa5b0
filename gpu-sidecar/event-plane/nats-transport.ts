/**
 * Events on NATS: one message each, the bare envelope. Without JetStream a message is sent once; with it each is acknowledged,
 * and known by its id when it comes twice. What a server that is away would miss is not kept for it. Every batch waits until
 * the server has taken it, so a slow one costs no memory.
 */

import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { StatorError } from '../../durable/runtime/errors.ts';
import { eventSubject, TOPIC, type Topic } from '../../durable/runtime/event-plane/subjects.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { ensureKvStream } from '../../durable/runtime/nats/kv-stream-config.ts';
import { NatsLink } from '../../durable/runtime/nats/nats-link.ts';
import { natsOptions } from '../../durable/runtime/nats/nats-options.ts';
import { inTime } from '../nats/in-time.ts';
import type { EventMessage, EventTransport, TransportOptions } from './event-transport.ts';

export async function openNatsTransport(options: TransportOptions): Promise<EventTransport> {
  const { settings } = options;
  // Says at once what is wrong with the settings; a server that is away is waited for.
  const connection = natsOptions(settings, `stator-worker-${options.publisherId.toString(16)}`);
  const link = new NatsLink({
    connect: () => connect(connection),
    opened: async (connection) => {
      if (settings.durableKvEvents)
        await ensureKvStream(await jetstreamManager(connection), settings.namespace);
      options.back();
    },
    back: options.back,
    after: (delayMs, task) => void options.timers.after(delayMs, task),
    log: options.log,
  });
  link.start();
  return new NatsTransport(link, options);
}

class NatsTransport implements EventTransport {
  readonly addresses = {};
  readonly #link: NatsLink;
  readonly #options: TransportOptions;

  constructor(link: NatsLink, options: TransportOptions) {
    this.#link = link;
    this.#options = options;
  }

  async publish(topic: Topic, messages: readonly EventMessage[]): Promise<void> {
    const { connection } = this.#link;
    if (connection === null) throw new StatorError('worker_unavailable', 'NATS is away');
    const { component, settings } = this.#options;
    const subject = eventSubject(settings.namespace, component, topic);
    const most = connection.info?.max_payload ?? Number.POSITIVE_INFINITY;
    let tooLarge = 0;
    const acks: Promise<unknown>[] = [];
    const isKept = settings.durableKvEvents && topic === TOPIC.kvEvents;
    const stream = isKept ? jetstream(connection) : null;
    for (const { envelope, id } of messages) {
      if (envelope.length > most) tooLarge++;
      else if (stream === null) connection.publish(subject, envelope);
      else acks.push(stream.publish(subject, envelope, { msgID: id }));
    }
    if (stream === null) acks.push(connection.flush());
    await inTime(Promise.all(acks), LIMITS.eventPlaneSendMs, 'NATS did not take the events in time');
    if (tooLarge > 0)
      throw new StatorError('invalid_frame', `${tooLarge} events are larger than NATS takes (${most} bytes)`);
  }

  close(): Promise<void> {
    return this.#link.close();
  }
}
