/** Does the hand-written batch reader read what protobuf-es reads, and refuse everything broken? */

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BatchReader, isBatchFrame } from '../../../durable/router/batch-reader.ts';
import type { KvChange } from '../../../durable/router/kv-events.ts';
import { StatorError } from '../../../durable/runtime/errors.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import {
  type Batch,
  BatchSchema,
  type KvEvent,
  type LoadMetrics,
  type TierLoad,
  WorkerFrameSchema,
} from '../../../gpu-sidecar/proto/gen/stator/v1/fleet_pb.js';

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const id = fc.maxSafeNat().map(BigInt);
const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Uint8Array.from(array));
const float = fc.float({ noNaN: true });

const kvEvent = fc.record({
  eventId: id,
  dpRank: u32,
  storageTier: fc.integer({ min: 0, max: 3 }),
  data: fc.oneof(
    fc.record({
      case: fc.constant('stored' as const),
      value: fc.record({ parentHash: bytes, blockHashes: bytes, tokensHashes: bytes }),
    }),
    fc.record({ case: fc.constant('removed' as const), value: fc.record({ blockHashes: bytes }) }),
    fc.record({ case: fc.constant('cleared' as const), value: fc.constant({}) }),
  ),
});
const progress = fc.record({
  reservation: u32,
  phase: fc.integer({ min: 0, max: 4 }),
  outputTokens: u32,
  cachedTokens: u32,
  ttftMs: float,
  totalMs: float,
  finishReason: fc.constantFrom('', 'stop', 'length', 'cancelled', 'error'),
});
const blocks = fc.bigInt({ min: 0n, max: 2n ** 53n - 1n });
const tierLoad = fc.record({
  storageTier: fc.integer({ min: 0, max: 3 }),
  capacityBlocks: blocks,
  blocks,
  degraded: fc.boolean(),
});
const pass = fc.record({ prefillTokens: u32, decodeKvTokens: u32, queuedTokens: u32, wallMs: float });
const load = fc.record(
  {
    dpRank: u32,
    kvUsedBlocks: u32,
    running: u32,
    waiting: u32,
    tiers: fc.array(tierLoad, { maxLength: 4 }),
    decodeKvTokens: u32,
    passes: fc.array(pass, { maxLength: 40 }),
  },
  { requiredKeys: ['dpRank', 'kvUsedBlocks', 'running', 'waiting', 'tiers'] },
);
const batch = fc.record(
  { kvEvents: fc.array(kvEvent), progress: fc.array(progress), load },
  { requiredKeys: [] },
);

const encode = (value: unknown): Uint8Array =>
  toBinary(
    WorkerFrameSchema,
    create(WorkerFrameSchema, { frame: { case: 'batch', value: create(BatchSchema, value as never) } }),
  );

/** What protobuf-es says of a frame, in the reader's words. */
function expected(frame: Uint8Array) {
  const parsed = fromBinary(WorkerFrameSchema, frame).frame;
  if (parsed.case !== 'batch') throw new Error('not a batch');
  const { kvEvents, progress: reports, load: loads }: Batch = parsed.value;
  return {
    events: kvEvents.map((event) => ({
      eventId: Number(event.eventId),
      dpRank: event.dpRank,
      change: changeOf(event),
    })),
    progress: reports.map(({ $typeName: _, ...report }) => report),
    load: loads ? loadOf(loads) : null,
  };
}

/** Passes beyond what a report may have are not read. */
const loadOf = ({ $typeName: _, tiers, decodeKvTokens, passes, ...rest }: LoadMetrics) => ({
  ...rest,
  tiers: tiers.map(tierOf),
  decodeKvTokens: decodeKvTokens ?? null,
  passes: passes.slice(0, 2 * LIMITS.passesPerReport).map(({ $typeName: __, ...figures }) => figures),
});

const tierOf = ({ storageTier, capacityBlocks, blocks, degraded }: TierLoad) => ({
  tier: storageTier,
  capacityBlocks: Number(capacityBlocks),
  blocks: Number(blocks),
  degraded,
});

function changeOf({ data, storageTier }: KvEvent): KvChange {
  if (data.case === undefined) throw new Error('no data');
  const { $typeName: _, ...fields } = data.value;
  const tier = data.case === 'cleared' ? {} : { tier: storageTier };
  return { kind: data.case, ...tier, ...fields } as KvChange;
}

function read(reader: BatchReader, frame: Uint8Array) {
  reader.read(frame);
  return {
    events: [...reader.events],
    progress: reader.progress.slice(0, reader.progressCount).map((entry) => ({ ...entry })),
    load: reader.load,
  };
}

test('the reader reads what protobuf-es reads, frame after frame', () => {
  const reader = new BatchReader();
  fc.assert(
    fc.property(batch, (value) => {
      const frame = encode(value);
      expect(isBatchFrame(frame)).toBe(true);
      expect(read(reader, frame)).toEqual(expected(frame));
    }),
    { numRuns: 500 },
  );
});

test('fields that a later version adds are skipped', () => {
  // Field 15 of each wire type, inside the batch.
  const unknown = [0x78, 0x05, 0x79, 1, 2, 3, 4, 5, 6, 7, 8, 0x7a, 0x01, 0x09, 0x7d, 1, 2, 3, 4];
  const inner = [...unknown, 0x12, 0x02, 0x08, 0x07, ...unknown];
  const frame = Uint8Array.from([0x12, inner.length, ...inner]);
  expect(read(new BatchReader(), frame).progress).toMatchObject([{ reservation: 7 }]);
});

describe('broken frames', () => {
  test('of any kind are refused as invalid_frame, never read past their end', () => {
    const reader = new BatchReader();
    const mutation = fc.record({ at: fc.nat(), byte: fc.nat(255), cut: fc.boolean() });
    fc.assert(
      fc.property(batch, fc.array(mutation, { minLength: 1, maxLength: 4 }), (value, mutations) => {
        let frame = encode(value);
        for (const { at, byte, cut } of mutations) {
          const where = 2 + (at % Math.max(1, frame.length - 2));
          if (cut) frame = frame.slice(0, where);
          else if (where < frame.length) frame[where] = byte;
        }
        if (!isBatchFrame(frame)) return;
        try {
          const { events, progress: reports } = read(reader, frame);
          for (const { eventId, dpRank } of events) expect(eventId + dpRank).not.toBeNaN();
          for (const report of reports) expect(typeof report.reservation).toBe('number');
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(StatorError);
          expect((thrown as StatorError).code).toBe('invalid_frame');
        }
      }),
      { numRuns: 1_000 },
    );
  });

  test('cut anywhere, are refused', () => {
    const frame = encode({
      kvEvents: [{ eventId: 300n, data: { case: 'removed', value: { blockHashes: new Uint8Array(8) } } }],
      progress: [{ reservation: 1000, phase: 4, ttftMs: 1.5, finishReason: 'stop' }],
      load: { running: 300 },
    });
    for (let length = 1; length < frame.length; length++) {
      expect(() => new BatchReader().read(frame.slice(0, length)), `cut at ${length}`).toThrow(StatorError);
    }
  });

  const refused: [string, number[]][] = [
    ['a KV event without data', [0x12, 0x04, 0x0a, 0x02, 0x08, 0x01]],
    ['a number over 2^53', [0x12, 0x0d, 0x0a, 0x0b, 0x08, ...Array(7).fill(0xff), 0x7f, 0x32, 0x00]],
    ['a number of more than ten bytes', [0x12, 0x0e, 0x12, 0x0c, 0x08, ...Array(11).fill(0x80)]],
    ['a field of wire type 3', [0x12, 0x02, 0x7b, 0x7c]],
    ['a field of number 0', [0x12, 0x02, 0x00, 0x01]],
    ['a batch and something else', [0x12, 0x00, 0x22, 0x00]],
    ['a field longer than its message', [0x12, 0x02, 0x12, 0x05]],
    ['a finish reason of more than 64 bytes', [0x12, 0x45, 0x12, 0x43, 0x3a, 0x41, ...Array(65).fill(0x61)]],
  ];
  for (const [name, frame] of refused) {
    test(`${name} is refused in these words`, () => {
      expect(() => new BatchReader().read(Uint8Array.from(frame))).toThrow(name);
    });
  }
});
