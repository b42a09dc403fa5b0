/** What a router makes of messages of the event plane that are lost, doubled, late, strange or of nobody. */

import { describe, expect, it } from 'vitest';
import type { PlaneNote } from '../../../../durable/router/event-plane/event-source.ts';
import { MessageReader } from '../../../../durable/router/event-plane/message-reader.ts';
import { encodeActiveLoad } from '../../../../durable/runtime/event-plane/active-load.ts';
import { encodeEnvelope, frameEnvelope } from '../../../../durable/runtime/event-plane/envelope.ts';
import { encodeRouterEvents } from '../../../../durable/runtime/event-plane/router-event.ts';
import { TOPIC } from '../../../../durable/runtime/event-plane/subjects.ts';

function make(known = true) {
  const notes: Partial<Record<PlaneNote, number>> = {};
  const seen: number[] = [];
  const reader = new MessageReader({
    event: ({ eventId }) => {
      if (known) seen.push(eventId);
      return known;
    },
    load: () => known,
    note: (what, count = 1) => {
      notes[what] = (notes[what] ?? 0) + count;
    },
    behind: () => {},
    restores: () => false,
  });
  return { notes, reader, seen };
}

function message(sequence: number, publisherId = 1n): Uint8Array {
  const payload = encodeRouterEvents([
    {
      workerId: publisherId,
      dpRank: 0,
      eventId: sequence,
      change: { kind: 'cleared' },
    },
  ]);
  return encodeEnvelope({ publisherId, sequence, publishedMs: 1, topic: TOPIC.kvEvents, payload });
}

describe('messages of the event plane', () => {
  it('are handed on whatever their number: the events have their own', () => {
    const { notes, reader, seen } = make();
    for (const sequence of [0, 1, 4, 4, 3, 5])
      expect(reader.receive(TOPIC.kvEvents, message(sequence))).toBeNull();
    expect(seen).toEqual([0, 1, 4, 4, 3, 5]);
    expect(notes).toEqual({ applied: 6, lost: 2, duplicate: 1, out_of_order: 1 });
  });

  it('are numbered by each publisher for itself', () => {
    const { notes, reader } = make();
    for (const publisher of [1n, 2n, 1n, 2n])
      reader.receive(TOPIC.kvEvents, message(publisher === 1n ? 0 : 9, publisher));
    expect(notes).toEqual({ applied: 4, duplicate: 2 });
  });

  it('may begin anywhere: a router that starts has missed nothing', () => {
    const { notes, reader } = make();
    reader.receive(TOPIC.kvEvents, message(1_000));
    expect(notes).toEqual({ applied: 1 });
  });

  it('of another frame version, without sense or of another topic are counted and said', () => {
    const { notes, reader, seen } = make();
    const later = frameEnvelope(message(0));
    later[0] = 9;
    expect(reader.receive(TOPIC.kvEvents, later)?.message).toMatch(/version 9/);
    expect(reader.receive(TOPIC.kvEvents, new TextEncoder().encode('hello'))).not.toBeNull();
    expect(reader.receive(TOPIC.load, message(0))).not.toBeNull();
    expect(notes).toEqual({ invalid: 3 });
    expect(seen).toEqual([]);
  });

  it('of workers that nobody has registered are counted', () => {
    const { notes, reader } = make(false);
    reader.receive(TOPIC.kvEvents, message(0));
    const payload = encodeActiveLoad({ workerId: 1n, dpRank: 0, kvUsedBlocks: 1 });
    const load = encodeEnvelope({ publisherId: 1n, sequence: 0, publishedMs: 1, topic: TOPIC.load, payload });
    reader.receive(TOPIC.load, load);
    expect(notes).toEqual({ unknown_worker: 2 });
  });
});
