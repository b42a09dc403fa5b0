/**
 * Messages of the event plane, read: envelope, order, content. The number in an envelope only counts what the plane lost,
 * doubled or reordered: what is done about it is decided by the events' own ids (`kv-events.ts`).
 */

import { StatorError } from '../../runtime/errors.ts';
import { decodeActiveLoad } from '../../runtime/event-plane/active-load.ts';
import { decodeEnvelope, type EventEnvelope } from '../../runtime/event-plane/envelope.ts';
import { decodeRouterEvents } from '../../runtime/event-plane/router-event.ts';
import { TOPIC, type Topic } from '../../runtime/event-plane/subjects.ts';
import { LIMITS } from '../../runtime/limits.ts';
import type { EventSink } from './event-source.ts';

export class MessageReader {
  readonly #sink: EventSink;
  /** Newest number by publisher and topic, the longest silent first. */
  readonly #sequences = new Map<string, number>();

  constructor(sink: EventSink) {
    this.#sink = sink;
  }

  /** One message. What cannot be read is counted, and told of by its return; nothing is thrown. */
  receive(topic: Topic, message: Uint8Array): StatorError | null {
    try {
      const envelope = decodeEnvelope(message);
      // Some versions write the whole subject.
      if (!envelope.topic.endsWith(topic)) {
        throw new StatorError('invalid_frame', `an event of the topic ${envelope.topic} came on ${topic}`);
      }
      this.#order(envelope, topic);
      if (topic === TOPIC.load) this.#count(this.#sink.load(decodeActiveLoad(envelope.payload)));
      else for (const event of decodeRouterEvents(envelope.payload)) this.#count(this.#sink.event(event));
      return null;
    } catch (thrown) {
      if (!(thrown instanceof StatorError)) throw thrown;
      this.#sink.note('invalid');
      return thrown;
    }
  }

  #count(known: boolean): void {
    this.#sink.note(known ? 'applied' : 'unknown_worker');
  }

  #order({ publisherId, sequence }: EventEnvelope, topic: Topic): void {
    const key = `${publisherId}/${topic}`;
    const newest = this.#sequences.get(key);
    if (newest !== undefined) {
      if (sequence === newest) this.#sink.note('duplicate');
      else if (sequence < newest) this.#sink.note('out_of_order');
      else if (sequence > newest + 1) this.#sink.note('lost', sequence - newest - 1);
    }
    this.#sequences.delete(key);
    this.#sequences.set(key, Math.max(newest ?? sequence, sequence));
    if (this.#sequences.size > LIMITS.eventPublishers) {
      this.#sequences.delete(this.#sequences.keys().next().value!);
    }
  }
}
