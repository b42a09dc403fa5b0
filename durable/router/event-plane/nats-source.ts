/**
 * KV events and load from NATS, all components of one namespace. The Router object holds the connection: its sockets live
 * as long as it does, and it has them open anyway.
 */

import type { NatsConnection } from '@nats-io/nats-core';
import { eventSubjects, TOPIC, type Topic } from '../../runtime/event-plane/subjects.ts';
import { NatsLink } from '../../runtime/nats/nats-link.ts';
import { natsOptions } from '../../runtime/nats/nats-options.ts';
import type { EventSource, EventSourceOptions } from './event-source.ts';
import { KeptEvents } from './kept-events.ts';
import { MessageReader } from './message-reader.ts';

export function openNatsSource(options: EventSourceOptions): EventSource {
  const { after, connect, log, namespace, settings, sink } = options;
  const reader = new MessageReader(sink);
  const receive = (topic: Topic, data: Uint8Array): void => {
    const refused = reader.receive(topic, data);
    if (refused !== null)
      log.warn('a message of the event plane cannot be read', { topic, error: refused.message });
  };
  const listen = (connection: NatsConnection, topic: Topic): void => {
    for (const subject of eventSubjects(namespace, topic)) {
      connection.subscribe(subject, {
        callback: (error, message) => {
          if (error) sink.note('error');
          else receive(topic, message.data);
        },
      });
    }
  };
  const kept = settings.durableKvEvents
    ? new KeptEvents(options, (data) => receive(TOPIC.kvEvents, data))
    : null;
  const link = new NatsLink({
    connect: () => connect(natsOptions(settings, `stator-router-${namespace}`)),
    opened: async (connection) => {
      listen(connection, TOPIC.load);
      if (kept === null) listen(connection, TOPIC.kvEvents);
      else await kept.open(connection);
    },
    back: () => {
      const { connection } = link;
      if (kept === null || connection === null) return;
      kept
        .open(connection)
        .catch((error) => log.warn('the kept KV events cannot be read', { error: String(error) }));
    },
    note: (what) => sink.note(what),
    after,
    log,
  });
  link.start();
  return { snapshot: (what) => kept?.snapshot(what), close: () => link.close() };
}
