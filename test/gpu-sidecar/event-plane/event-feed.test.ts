/** What a feed sends of a worker's events, and when the fleet socket has to say it, too. */

import { describe, expect, it } from 'vitest';
import { decodeEnvelope } from '../../../durable/runtime/event-plane/envelope.ts';
import { decodeRouterEvents } from '../../../durable/runtime/event-plane/router-event.ts';
import type { Topic } from '../../../durable/runtime/event-plane/subjects.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { Logger } from '../../../durable/runtime/log.ts';
import { EventFeed } from '../../../gpu-sidecar/event-plane/event-feed.ts';
import type { EventMessage, EventTransport } from '../../../gpu-sidecar/event-plane/event-transport.ts';
import { WorkerEvents } from '../../../gpu-sidecar/fleet/worker-events.ts';
import { ManualTime } from '../../harness/manual-time.ts';
import { soon } from '../../harness/soon.ts';

const hash = (value: number) => new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);

/** Takes messages when it is let, and loses them when told to. */
class ScriptedTransport implements EventTransport {
  readonly addresses = {};
  readonly taken: { topic: Topic; message: EventMessage }[] = [];
  lost = 0;
  gate: Promise<void> = Promise.resolve();
  away = false;
  closed = false;

  async publish(topic: Topic, messages: readonly EventMessage[]): Promise<void> {
    await this.gate;
    if (this.away) {
      this.lost += messages.length;
      throw new Error('away');
    }
    this.taken.push(...messages.map((message) => ({ topic, message })));
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  get eventIds(): number[] {
    return this.taken
      .filter(({ topic }) => topic === 'kv-events')
      .map(({ message }) => decodeRouterEvents(decodeEnvelope(message.envelope).payload)[0]!.eventId);
  }
}

function make({ ring = 8 } = {}) {
  const time = new ManualTime();
  const transport = new ScriptedTransport();
  const load = { running: 0, waiting: 0, kvUsedBlocks: 0 };
  const anchored: number[] = [];
  const counts = { sent: 0, lost: 0 };
  const events = new WorkerEvents({ ring, dumpBlocksPerFrame: 100, changed: () => feed.changed() });
  const feed: EventFeed = new EventFeed({
    events,
    load: () => load,
    publisherId: 7n,
    epoch: 1,
    anchor: () => anchored.push(events.next - 1),
    count: (what, messages) => {
      counts[what] += messages;
    },
    clock: time,
    timers: time,
    log: new Logger({ component: 'test', level: 'error', write: () => {} }),
  });
  const store = (value: number) =>
    events.stored({ parentHash: null, blockHashes: hash(value), tokensHashes: hash(value) });
  return { anchored, counts, feed, load, store, time, transport };
}

const tick = (time: ManualTime) => time.advance(LIMITS.eventPlaneQuietMs);

describe('an event feed', () => {
  it('sends events in order, each once, with their number', async () => {
    const { feed, store, transport } = make();
    store(1);
    feed.start(transport);
    store(2);
    await soon(() => expect(transport.eventIds).toEqual([0, 1]));
    store(3);
    await soon(() => expect(transport.eventIds).toEqual([0, 1, 2]));
    const sequences = transport.taken
      .filter(({ topic }) => topic === 'kv-events')
      .map(({ message }) => message.sequence);
    expect(sequences).toEqual([0, 1, 2]);
  });

  it('sends the load when it is another', async () => {
    const { feed, load, transport } = make();
    feed.start(transport);
    await soon(() => expect(transport.taken.map(({ topic }) => topic)).toEqual(['kv_metrics']));
    load.running = 1;
    feed.changed();
    await soon(() => expect(transport.taken).toHaveLength(2));
  });

  it('keeps nothing for a plane that does not take it: what leaves the ring is a gap', async () => {
    const { feed, store, transport } = make({ ring: 4 });
    const gate = Promise.withResolvers<void>();
    transport.gate = gate.promise;
    feed.start(transport);
    for (let value = 0; value < 10; value++) store(value);
    gate.resolve();
    await soon(() => expect(transport.eventIds).toEqual([6, 7, 8, 9]));
  });

  it('has the newest event told over the fleet socket once it has been quiet', async () => {
    const { anchored, feed, store, time, transport } = make();
    feed.start(transport);
    store(1);
    tick(time);
    expect(anchored).toEqual([]);
    tick(time);
    expect(anchored).toEqual([0]);
    tick(time);
    expect(anchored).toEqual([0]);
    store(2);
    tick(time);
    tick(time);
    expect(anchored).toEqual([0, 1]);
  });

  it('has it told at each tick while the plane is away, and counts what is lost', async () => {
    const { anchored, counts, feed, store, time, transport } = make();
    transport.away = true;
    feed.start(transport);
    store(1);
    await soon(() => expect(counts.lost).toBe(2));
    tick(time);
    store(2);
    await soon(() => expect(counts.lost).toBe(3));
    tick(time);
    expect(anchored).toEqual([0, 1]);
    transport.away = false;
    store(3);
    await soon(() => expect(transport.eventIds).toEqual([2]));
  });

  it('sends what is left before it closes', async () => {
    const { feed, store, transport } = make();
    feed.start(transport);
    store(1);
    await feed.close();
    expect(transport.eventIds).toEqual([0]);
    expect(transport.closed).toBe(true);
  });
});
