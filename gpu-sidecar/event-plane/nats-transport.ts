/**
 * Events on NATS: one message each, the bare envelope. Without JetStream a message is sent once, and what a server that is
 * away would miss is not kept for it. Every batch waits until the server has taken it, so a slow one costs no memory.
 */

import { connect } from '@nats-io/transport-node';
import { StatorError } from '../../durable/runtime/errors.ts';
import { eventSubject, type Topic } from '../../durable/runtime/event-plane/subjects.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
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
    opened: () => options.back(),
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
    for (const { envelope } of messages) {
      if (envelope.length > most) tooLarge++;
      else connection.publish(subject, envelope);
    }
    await inTime(connection.flush(), LIMITS.eventPlaneSendMs, 'NATS did not take the events in time');
    if (tooLarge > 0)
      throw new StatorError('invalid_frame', `${tooLarge} events are larger than NATS takes (${most} bytes)`);
  }

  close(): Promise<void> {
    return this.#link.close();
  }
}
