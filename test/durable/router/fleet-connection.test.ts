/** Does any wrong frame get one clear answer, change nothing, and leave nothing behind? */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { Harness } from './core-harness.ts';
import { batchFrame, registerFrame, storedEvent, workerFrame } from './fleet-worker.ts';
import { hashes } from './naive-indexes.ts';

const A = '00000000000000a1';
const CARD = { name: 'tiny', contextLengthTokens: 1024, kvCacheBlockSize: 4 };
const NONE = new Uint8Array(0);
const stored = (blockHashes: Uint8Array, tokensHashes: Uint8Array, parentHash = NONE) =>
  batchFrame({
    kvEvents: [
      storedEvent(1, [7]),
      { eventId: 2n, data: { case: 'stored', value: { parentHash, blockHashes, tokensHashes } } },
    ],
  });

describe('before Register', () => {
  test('nothing else is taken', () => {
    const harness = new Harness();
    const kinds = ['batch', 'dump', 'draining'] as const;
    for (const kind of kinds) {
      const socket = harness.connect();
      socket.send(workerFrame({ case: kind, value: {} }));
      expect(socket.rejection).toBe('invalid_frame');
      expect(socket.closed?.code).toBe(4000);
    }
    expect(harness.core.workerCount).toBe(0);
  });

  test('the wait is bounded', () => {
    const harness = new Harness();
    const socket = harness.connect();
    harness.clock.advance(LIMITS.registerTimeoutMs - 1);
    socket.tick();
    expect(socket.closed).toBeNull();
    harness.clock.advance(1);
    socket.tick();
    expect(socket.rejection).toBe('invalid_frame');
    expect(socket.closed).not.toBeNull();
  });
});

describe('a Register frame', () => {
  const wrong: [string, NonNullable<Parameters<typeof registerFrame>[0]>][] = [
    ['instance_id', { instanceId: 'not hex' }],
    ['instance_id', { instanceId: '0123456789abcdef0' }],
    ['component', { component: '' }],
    ['endpoint', { endpoint: 'x'.repeat(300) }],
    ['http_address', { httpAddress: 'ftp://host' }],
    ['grpc_address', { grpcAddress: 'host' }],
    ['worker_type', { workerType: 17 as never }],
    ['epoch', { epoch: 2n ** 60n }],
    ['card_checksum', { cardChecksum: '' }],
    ['runtime.data_parallel_size', { runtime: { engine: 'mock', dataParallelSize: 1_000_000 } }],
    ['runtime.engine', { runtime: { dataParallelSize: 1 } }],
    ['card.name', { card: { ...CARD, name: '' } }],
    ['card.kv_cache_block_size', { card: { ...CARD, kvCacheBlockSize: 0 } }],
    ['card.context_length_tokens', { card: { ...CARD, contextLengthTokens: 0 } }],
    ['card.tokenizer.sha256', { card: { ...CARD, tokenizer: { sha256: '../etc', sizeBytes: 1n } } }],
    ['card.model_types', { card: { ...CARD, modelTypes: [99 as never] } }],
    ['card.aliases', { card: { ...CARD, aliases: Array(100).fill('x') } }],
  ];
  test.each(wrong)('with a wrong %s is refused, naming it', (field, overrides) => {
    const harness = new Harness();
    const socket = harness.connect();
    socket.send(registerFrame(overrides));
    const [frame] = socket.frames;
    expect(frame).toMatchObject({ case: 'rejected', value: { code: 'invalid_frame' } });
    expect(frame?.case === 'rejected' && frame.value.message).toContain(field);
    expect(harness.core.workerCount).toBe(0);
  });

  test('twice on one socket ends it', () => {
    const harness = new Harness();
    const socket = harness.worker(A);
    socket.send(registerFrame({ instanceId: A }));
    expect(socket.rejection).toBe('invalid_frame');
    expect(harness.core.workerCount).toBe(0);
  });
});

describe('a batch', () => {
  const broken: [string, unknown][] = [
    ['text', '{}'],
    ['hashes of 7 bytes', stored(new Uint8Array(7), new Uint8Array(7))],
    ['fewer tokens hashes than block hashes', stored(hashes(1, 2), hashes(1))],
    ['a parent of 4 bytes', stored(hashes(1), hashes(1), new Uint8Array(4))],
    ['a removal of 9 bytes', batchFrame({ kvEvents: [removedEvent(new Uint8Array(9))] })],
    [
      'an unknown dp rank',
      batchFrame({ kvEvents: [storedEvent(1, [7]), storedEvent(0, [8], { dpRank: 1 })] }),
    ],
    ['the load of an unknown dp rank', batchFrame({ load: { dpRank: 9 } })],
    ['progress of no phase', batchFrame({ kvEvents: [storedEvent(1, [7])], progress: [{ reservation: 1 }] })],
    ['an event id over 2^53', batchFrame({ kvEvents: [{ ...storedEvent(0, [7]), eventId: 2n ** 60n }] })],
    [
      'a storage tier that is none',
      batchFrame({ kvEvents: [{ ...storedEvent(1, [7]), storageTier: 9 as never }] }),
    ],
    ['a million blocks', stored(new Uint8Array(8_000_000), new Uint8Array(8_000_000))],
    ['a frame that is too large', new Uint8Array(LIMITS.fleetFrameBytes + 1).fill(0x12)],
    ['an unknown frame', Uint8Array.of(0x7a, 0)],
    ['nothing', NONE],
  ];
  test.each(broken)('with %s changes nothing, is answered once, and ends the worker', (_name, frame) => {
    const harness = new Harness();
    const socket = harness.worker(A, {}, [[1, 2]]);
    const other = harness.worker('00000000000000b2', {}, [[1, 2]]);
    harness.decide({ pinned: A });
    socket.send(frame);
    expect(socket.kinds.filter((kind) => kind === 'rejected')).toHaveLength(1);
    expect(socket.rejection).toBe('invalid_frame');
    expect(harness.core.status()).toMatchObject({ inFlight: 0, indexBlocks: 2 });
    expect(harness.core.workerCount).toBe(1);
    expect(harness.core.metrics()).toContain('stator_fleet_rejected_total{code="invalid_frame"} 1');
    expect(harness.core.metrics()).not.toContain('event_type="stored",status="ok"} 3');
    socket.send(batchFrame({}));
    expect(socket.kinds.at(-1)).toBe('rejected');
    other.send(batchFrame({}));
    expect(other.kinds.at(-1)).toBe('ack');
  });

  test('with a store whose parent is missing is taken, counted, and not indexed', () => {
    const harness = new Harness();
    const socket = harness.worker(A);
    socket.send(batchFrame({ kvEvents: [storedEvent(0, [5], { parent: 4 })] }));
    expect(socket.rejection).toBeUndefined();
    expect(harness.core.status().indexBlocks).toBe(0);
    expect(harness.core.metrics()).toContain('status="parent_block_not_found"} 1');
  });

  test('whose hashes were signed numbers means the same blocks as one whose were not', () => {
    const harness = new Harness();
    const signed = new Uint8Array(BigInt64Array.of(-1n, -(2n ** 63n)).buffer);
    harness.worker('00000000000000b2').send(
      batchFrame({
        kvEvents: [
          { eventId: 0n, data: { case: 'stored', value: { blockHashes: signed, tokensHashes: signed } } },
        ],
      }),
    );
    const request = { blockHashes: hashes(2n ** 64n - 1n, 2n ** 63n), promptTokens: 9 };
    expect(harness.decide(request)).toMatchObject({ worker: '00000000000000b2', overlapBlocks: 2 });
  });

  test('of a quarter million blocks in one event is taken', () => {
    const harness = new Harness();
    const socket = harness.worker(A);
    const many = new Uint8Array(BigUint64Array.from({ length: 200_000 }, (_, i) => BigInt(i + 1)).buffer);
    const value = { blockHashes: many, tokensHashes: many };
    socket.send(batchFrame({ kvEvents: [{ eventId: 0n, data: { case: 'stored', value } }] }));
    expect(harness.core.status().indexBlocks).toBe(200_000);
  });
});

describe('a dump', () => {
  test('of an unknown rank, or with broken hashes, is refused before the index is touched', () => {
    for (const value of [
      { dpRank: 5, first: true, last: true },
      {
        first: true,
        last: true,
        stored: [{ blockHashes: new Uint8Array(3), tokensHashes: new Uint8Array(3) }],
      },
    ]) {
      const harness = new Harness();
      const socket = harness.worker(A, {}, [[1, 2]]);
      socket.send(workerFrame({ case: 'dump', value }));
      expect(socket.rejection).toBe('invalid_frame');
    }
  });
});

test('no bytes whatsoever throw, and the connection either goes on or says why it ends', () => {
  const frame = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.uint8Array({ maxLength: 60 }).map((tail) => Uint8Array.from([0x12, tail.length, ...tail])),
    fc.record({ at: fc.nat(300), byte: fc.nat(255) }).map(({ at, byte }) => {
      const bytes = registerFrame();
      bytes[at % bytes.length] = byte;
      return bytes;
    }),
  );
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 5 }), fc.boolean(), (frames, registered) => {
      const harness = new Harness();
      const socket = registered ? harness.worker(A) : harness.connect();
      for (const bytes of frames) socket.send(Uint8Array.from(bytes));
      if (socket.closed) expect(socket.rejection).toBeDefined();
      socket.hangUp();
      expect(harness.core.status()).toMatchObject({ inFlight: 0, workers: [], indexBlocks: 0 });
    }),
    { numRuns: 500 },
  );
});

function removedEvent(blockHashes: Uint8Array) {
  return { eventId: 1n, data: { case: 'removed' as const, value: { blockHashes } } };
}
