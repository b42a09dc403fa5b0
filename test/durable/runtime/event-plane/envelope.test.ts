/** Envelopes and KV events in Dynamo's bytes: its own examples, round trips, and what is refused. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeActiveLoad, encodeActiveLoad } from '../../../../durable/runtime/event-plane/active-load.ts';
import {
  decodeEnvelope,
  encodeEnvelope,
  frameEnvelope,
  packEvent,
} from '../../../../durable/runtime/event-plane/envelope.ts';
import {
  decodeRouterEvents,
  type EventChange,
  encodeRouterEvents,
  packed,
} from '../../../../durable/runtime/event-plane/router-event.ts';

const vectors = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../../fixtures/hash_vectors.json'), 'utf8'),
) as { events: { msgpack_named_hex: string }[] };

/** What `KvEventPublisher` of ai-dynamo-runtime 1.6.1 sent: publish_stored([1..8], [4, 4], [100, -5]) and publish_removed([100]). */
const DYNAMO_1_6_1 = [
  '85ac7075626c69736865725f6964cf000a156f43d8da6da873657175656e636500ac7075626c69736865645f6174cf000001' +
    'a2010460bda5746f706963a96b762d6576656e7473a77061796c6f6164c4f19184a9776f726b65725f6964cca1ac73746f72' +
    '6167655f74696572a6646576696365b07265736964656e63795f646f6d61696ea6776f726b6572a56576656e7483a8657665' +
    '6e745f696401a46461746181a673746f72656483ab706172656e745f68617368c0ae73746172745f706f736974696f6ec0a6' +
    '626c6f636b739283aa626c6f636b5f6861736864ab746f6b656e735f68617368cfcb38e4d7fb2dca5cad6d6d5f6578747261' +
    '5f696e666fc083aa626c6f636b5f68617368cffffffffffffffffbab746f6b656e735f68617368cfe8d3ec39b907b74cad6d' +
    '6d5f65787472615f696e666fc0a764705f72616e6b00',
  '85ac7075626c69736865725f6964cf000a156f43d8da6da873657175656e636501ac7075626c69736865645f6174cf000001' +
    'a2010460bda5746f706963a96b762d6576656e7473a77061796c6f6164c4729184a9776f726b65725f6964cca1ac73746f72' +
    '6167655f74696572a6646576696365b07265736964656e63795f646f6d61696ea6776f726b6572a56576656e7483a8657665' +
    '6e745f696402a46461746181a772656d6f76656481ac626c6f636b5f6861736865739164a764705f72616e6b00',
];

const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const hashes = (count: number) => fc.array(u64, { minLength: count, maxLength: count }).map(packed);
const tier = fc.constantFrom<0 | 1 | 2 | 3>(0, 1, 2, 3);
const change: fc.Arbitrary<EventChange> = fc.oneof(
  fc
    .nat(5)
    .chain((count) => fc.record({ tier, blockHashes: hashes(count), tokensHashes: hashes(count) }))
    .chain((stored) =>
      fc.oneof(fc.constant(packed([])), hashes(1)).map((parentHash) => ({
        kind: 'stored' as const,
        parentHash,
        ...stored,
      })),
    ),
  fc
    .nat(5)
    .chain(hashes)
    .chain((blockHashes) => tier.map((tier) => ({ kind: 'removed' as const, tier, blockHashes }))),
  fc.constant({ kind: 'cleared' as const }),
);

describe("Dynamo's own bytes", () => {
  it('are read as the events they are', () => {
    const events = vectors.events.flatMap(({ msgpack_named_hex }) =>
      decodeRouterEvents(Buffer.from(msgpack_named_hex, 'hex')),
    );
    expect(events).toEqual([
      {
        workerId: 42n,
        dpRank: 1,
        eventId: 7,
        change: {
          kind: 'stored',
          tier: 0,
          parentHash: packed([99]),
          blockHashes: packed([100]),
          tokensHashes: packed([200]),
        },
      },
      {
        workerId: 42n,
        dpRank: 0,
        eventId: 8,
        change: { kind: 'removed', tier: 0, blockHashes: packed([100]) },
      },
      { workerId: 42n, dpRank: 0, eventId: 9, change: { kind: 'cleared' } },
    ]);
  });

  it('of a worker of 1.6.1 on NATS are an envelope with a list of events', () => {
    const [stored, removed] = DYNAMO_1_6_1.map((hex) => decodeEnvelope(Buffer.from(hex, 'hex')));
    expect(stored).toMatchObject({ topic: 'kv-events', sequence: 0 });
    expect(decodeRouterEvents(stored!.payload)).toEqual([
      {
        workerId: 0xa1n,
        dpRank: 0,
        eventId: 1,
        change: {
          kind: 'stored',
          tier: 0,
          parentHash: packed([]),
          blockHashes: packed([100, -5]),
          // Of the tokens 1 to 8, four in a block: the same as in everybody's vectors.
          tokensHashes: packed([14643705804678351452n, 16777012769546811212n]),
        },
      },
    ]);
    const change = { kind: 'removed', tier: 0, blockHashes: packed([100]) };
    expect(decodeRouterEvents(removed!.payload)).toEqual([
      { workerId: 0xa1n, dpRank: 0, eventId: 2, change },
    ]);
  });

  it('may leave out what has a default, sign their hashes and have fields of later versions', () => {
    const event = {
      worker_id: 42,
      session_id: 'later',
      event: {
        event_id: 1,
        data: { stored: { parent_hash: -1n, blocks: [{ block_hash: -2n, tokens_hash: 3 }] } },
      },
    };
    expect(decodeRouterEvents(packEvent(event))[0]).toEqual({
      workerId: 42n,
      dpRank: 0,
      eventId: 1,
      change: {
        kind: 'stored',
        tier: 0,
        parentHash: packed([2n ** 64n - 1n]),
        blockHashes: packed([2n ** 64n - 2n]),
        tokensHashes: packed([3]),
      },
    });
  });
});

describe('KV events', () => {
  it('come back as they were, framed or not', () => {
    fc.assert(
      fc.property(
        u64,
        fc.nat(63),
        fc.nat(),
        change,
        fc.boolean(),
        (workerId, dpRank, eventId, change, framed) => {
          const event = { workerId, dpRank, eventId, change };
          const envelope = encodeEnvelope({
            publisherId: workerId,
            sequence: eventId,
            publishedMs: 1_700_000_000_000,
            topic: 'kv-events',
            payload: encodeRouterEvents([event]),
          });
          const { payload, ...rest } = decodeEnvelope(framed ? frameEnvelope(envelope) : envelope);
          expect(rest).toEqual({
            publisherId: workerId,
            sequence: eventId,
            publishedMs: 1_700_000_000_000,
            topic: 'kv-events',
          });
          expect(decodeRouterEvents(payload)).toEqual([event]);
        },
      ),
    );
  });

  it('of unknown tiers, without data or with hashes that are none are refused', () => {
    const event = (changes: object) =>
      packEvent({ worker_id: 1, event: { event_id: 1, data: 'cleared' }, ...changes });
    expect(() => decodeRouterEvents(event({ storage_tier: 'tape' }))).toThrow(/storage tier tape/);
    expect(() => decodeRouterEvents(event({ event: { event_id: 1 } }))).toThrow(/no data/);
    expect(() => decodeRouterEvents(event({ worker_id: 'one' }))).toThrow(/worker_id/);
    const removed = { event_id: 1, data: { removed: { block_hashes: ['x'] } } };
    expect(() => decodeRouterEvents(event({ event: removed }))).toThrow(/no whole number: x/);
  });
});

describe('an envelope', () => {
  const envelope = encodeEnvelope({
    publisherId: 1n,
    sequence: 2,
    publishedMs: 3,
    topic: 'kv-events',
    payload: new Uint8Array([1]),
  });

  it('in a frame of another version or length is refused', () => {
    const later = frameEnvelope(envelope);
    later[0] = 2;
    expect(() => decodeEnvelope(later)).toThrow(/version 2/);
    expect(() => decodeEnvelope(frameEnvelope(envelope).subarray(0, -1))).toThrow(/another length/);
  });

  it('is told from anything else without an exception of another kind', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          decodeEnvelope(bytes);
        } catch (thrown) {
          expect(thrown).toMatchObject({ name: 'StatorError', code: 'invalid_frame' });
        }
      }),
    );
  });
});

it('a load comes back with what its publisher knew', () => {
  const load = { workerId: 2n ** 63n, dpRank: 1, kvUsedBlocks: 5 };
  expect(decodeActiveLoad(encodeActiveLoad(load))).toEqual(load);
  const all = { ...load, running: 2, waiting: 3 };
  expect(decodeActiveLoad(encodeActiveLoad(all))).toEqual(all);
});
