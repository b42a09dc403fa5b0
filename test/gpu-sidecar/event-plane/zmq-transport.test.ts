/** Events on real ZMQ sockets: who subscribes gets them in Dynamo's form, who missed some asks for them. */

import { afterEach, describe, expect, it } from 'vitest';
import { Dealer, Subscriber } from 'zeromq';
import { resolveSettings } from '../../../durable/runtime/config.ts';
import { decodeEnvelope, encodeEnvelope } from '../../../durable/runtime/event-plane/envelope.ts';
import { decodeRouterEvents, encodeRouterEvents } from '../../../durable/runtime/event-plane/router-event.ts';
import { TOPIC } from '../../../durable/runtime/event-plane/subjects.ts';
import { Logger } from '../../../durable/runtime/log.ts';
import type { EventTransport } from '../../../gpu-sidecar/event-plane/event-transport.ts';
import { openZmqTransport } from '../../../gpu-sidecar/event-plane/zmq-transport.ts';
import { systemTimers } from '../../../gpu-sidecar/timers.ts';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

const PUBLISHER = 0xfedc_ba98_7654_3210n;

async function open(): Promise<EventTransport> {
  const transport = await openZmqTransport({
    settings: resolveSettings([]),
    component: 'backend',
    publisherId: PUBLISHER,
    back: () => {},
    timers: systemTimers,
    log: new Logger({ component: 'test', level: 'error', write: () => {} }),
  });
  ends.push(() => transport.close());
  return transport;
}

const event = (eventId: number) => {
  const payload = encodeRouterEvents([
    { workerId: PUBLISHER, dpRank: 0, eventId, change: { kind: 'cleared' } },
  ]);
  const envelope = encodeEnvelope({
    publisherId: PUBLISHER,
    sequence: eventId,
    publishedMs: 1,
    topic: TOPIC.kvEvents,
    payload,
  });
  return { sequence: eventId, id: String(eventId), envelope };
};

const eventIdOf = (frame: Uint8Array) => decodeRouterEvents(decodeEnvelope(frame).payload)[0]!.eventId;

describe('events on ZMQ', () => {
  it('reach a subscriber with topic, publisher, number and frame', async () => {
    const transport = await open();
    const subscriber = new Subscriber({ linger: 0 });
    ends.push(() => subscriber.close());
    subscriber.connect(transport.addresses['publish']!);
    subscriber.subscribe(TOPIC.kvEvents);
    const received = subscriber.receive();
    // A subscription takes a moment to arrive: until it has, PUB drops.
    let sent = 0;
    const sender = setInterval(() => void transport.publish(TOPIC.kvEvents, [event(sent++)]), 5);
    const [topic, publisher, sequence, frame] = await received;
    clearInterval(sender);
    expect(String(topic)).toBe('kv-events');
    expect(publisher!.readBigUInt64BE()).toBe(PUBLISHER);
    expect(eventIdOf(frame!)).toBe(Number(sequence!.readBigUInt64BE()));
  });

  it('are sent again from a number on, with an end', async () => {
    const transport = await open();
    await transport.publish(TOPIC.kvEvents, [event(0), event(1), event(2)]);
    const dealer = new Dealer({ linger: 0 });
    ends.push(() => dealer.close());
    dealer.connect(transport.addresses['replay']!);
    const from = Buffer.alloc(8);
    from.writeBigUInt64BE(1n);
    await dealer.send(['', from]);
    const answers: number[] = [];
    for await (const [, topic, , sequence, frame] of dealer) {
      if (topic!.length === 0) {
        expect(sequence!.readBigUInt64BE()).toBe(2n ** 64n - 1n);
        break;
      }
      answers.push(eventIdOf(frame!));
    }
    expect(answers).toEqual([1, 2]);
  });
});
