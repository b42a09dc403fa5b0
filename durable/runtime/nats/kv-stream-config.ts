/** The JetStream stream of a namespace's KV events, as whoever comes first makes it: bounded, the oldest go. */

import { DiscardPolicy, type JetStreamManager, RetentionPolicy } from '@nats-io/jetstream';
import { eventSubjects, TOPIC } from '../event-plane/subjects.ts';
import { LIMITS } from '../limits.ts';

export const kvStreamName = (namespace: string): string => `stator-kv-${namespace}`;

export async function ensureKvStream(manager: JetStreamManager, namespace: string): Promise<void> {
  const name = kvStreamName(namespace);
  const exists = await manager.streams.info(name).then(
    () => true,
    () => false,
  );
  if (exists) return;
  await manager.streams.add({
    name,
    subjects: eventSubjects(namespace, TOPIC.kvEvents),
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.Old,
    max_msgs: LIMITS.kvStreamMessages,
    max_bytes: LIMITS.kvStreamBytes,
    max_age: LIMITS.kvStreamMs * 1_000_000,
    max_consumers: -1,
  });
}
