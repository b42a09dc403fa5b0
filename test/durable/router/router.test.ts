/** Does the router do what a worker and a function expect of it, from Register to the end of a request? */

import { describe, expect, test } from 'vitest';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { Phase, StorageTier } from '../../../gpu-sidecar/proto/gen/stator/v1/fleet_pb.js';
import { WorkerType } from '../../../gpu-sidecar/proto/gen/stator/v1/model_pb.js';
import { Harness } from './core-harness.ts';
import { batchFrame, endFrame, registerFrame, storedEvent, workerFrame } from './fleet-worker.ts';
import { hashes, naiveIndexes } from './naive-indexes.ts';

const A = '00000000000000a1';
const B = '00000000000000b2';

describe('a worker that registers', () => {
  test('is welcomed, asked for its index, and published', () => {
    const harness = new Harness();
    const socket = harness.connect();
    socket.send(registerFrame({ instanceId: A }));
    expect(socket.kinds).toEqual(['welcome', 'sendDump']);
    expect(harness.changes).toBe(1);
    const [entry] = harness.core.models('default');
    expect(entry).toMatchObject({
      name: 'tiny',
      aliases: ['small'],
      namespace: 'default',
      blockSizeTokens: 4,
      modelInput: 'tokens',
      addresses: ['http://127.0.0.1:9001'],
      instances: [A],
    });
  });

  test('tells the boot id of the router, which decisions repeat', () => {
    const harness = new Harness();
    const [welcome] = harness.worker(A).frames;
    if (welcome?.case !== 'welcome') throw new Error('no welcome');
    expect(welcome.value.routerBoot).toBeGreaterThanOrEqual(1);
    expect(harness.decide().routerBoot).toBe(welcome.value.routerBoot);
  });

  test('is not asked for an index when it publishes no KV events', () => {
    const harness = new Harness();
    const socket = harness.connect();
    socket.send(registerFrame({ runtime: { engine: 'openai', kvEventPublishingEnabled: false } }));
    expect(socket.kinds).toEqual(['welcome']);
  });

  test('is asked for the index of each of its dp ranks', () => {
    const harness = new Harness();
    const socket = harness.connect();
    socket.send(
      registerFrame({ runtime: { engine: 'mock', kvEventPublishingEnabled: true, dataParallelSize: 3 } }),
    );
    expect(socket.kinds).toEqual(['welcome', 'sendDump', 'sendDump', 'sendDump']);
  });

  test('is refused with an older epoch, even after the newer one has left', () => {
    const harness = new Harness();
    const current = harness.worker(A, { epoch: 7n });
    const old = harness.connect();
    old.send(registerFrame({ instanceId: A, epoch: 6n }));
    expect(old.rejection).toBe('stale_epoch');
    expect(old.closed).not.toBeNull();
    current.hangUp();
    const again = harness.connect();
    again.send(registerFrame({ instanceId: A, epoch: 6n }));
    expect(again.rejection).toBe('stale_epoch');
    expect(harness.core.workerCount).toBe(0);
  });

  test('replaces its older self: index, requests and socket of that are gone', () => {
    const harness = new Harness();
    const old = harness.worker(A, { epoch: 1n }, [[1, 2]]);
    harness.decide({ blocks: [1, 2] });
    harness.worker(A, { epoch: 2n });
    expect(old.rejection).toBe('stale_epoch');
    expect(harness.core.status()).toMatchObject({ inFlight: 0, indexBlocks: 0 });
    old.hangUp();
    old.send(endFrame(1));
    expect(harness.core.workerCount).toBe(1);
  });

  test('keeps index and requests when the same self comes back on a new socket', () => {
    const harness = new Harness();
    const old = harness.worker(A, {}, [[1, 2]]);
    const { reservation } = harness.decide({ blocks: [1, 2] });
    old.hangUp(1006);
    const back = harness.connect();
    back.send(registerFrame({ instanceId: A }));
    expect(back.kinds).toEqual(['welcome', 'resend']);
    expect(harness.core.status()).toMatchObject({ inFlight: 1, indexBlocks: 2 });
    back.send(endFrame(reservation));
    expect(harness.core.status().inFlight).toBe(0);
  });

  test('is refused when its card differs from that of the others of its model', () => {
    const harness = new Harness();
    harness.worker(A);
    const other = harness.connect();
    other.send(registerFrame({ instanceId: B, cardChecksum: 'different' }));
    expect(other.rejection).toBe('card_mismatch');
    expect(harness.core.workerCount).toBe(1);
  });

  test('may bring another card when it is the only one of its model', () => {
    const harness = new Harness();
    harness.worker(A, { epoch: 1n });
    const next = harness.worker(A, { epoch: 2n, cardChecksum: 'different' });
    expect(next.rejection).toBeUndefined();
    expect(harness.decide().worker).toBe(A);
  });

  test('is refused when its model takes the name of another', () => {
    const harness = new Harness();
    harness.worker(A);
    const other = harness.connect();
    const card = { name: 'big', aliases: ['tiny'], contextLengthTokens: 1, kvCacheBlockSize: 4 };
    other.send(registerFrame({ instanceId: B, card }));
    expect(other.rejection).toBe('card_mismatch');
  });
});

describe('route', () => {
  test('finds a model by its alias', () => {
    const harness = new Harness();
    harness.worker(A);
    expect(harness.decide({ model: 'small' }).worker).toBe(A);
  });

  test('goes where the prefix is', () => {
    const harness = new Harness();
    harness.worker(A);
    harness.worker(B, { httpAddress: 'http://127.0.0.1:9101/' }, [[1, 2, 3]]);
    expect(harness.decide({ blocks: [1, 2, 3, 4] })).toMatchObject({
      worker: B,
      address: 'http://127.0.0.1:9101',
      overlapBlocks: 3,
    });
  });

  test('leaves the prefix when its owner is busier than the prefix is worth', () => {
    const harness = new Harness();
    harness.worker(A);
    harness.worker(B, {}, [[1, 2]]);
    harness.decide({ pinned: B, blocks: [11, 12, 13, 14, 15, 16] });
    expect(harness.decide({ blocks: [1, 2, 3] }).worker).toBe(A);
  });

  test('counts blocks that are active already once', () => {
    const harness = new Harness();
    const a = harness.worker(A);
    const b = harness.worker(B);
    const decoding = (socket: typeof a, worker: string, blocks: number[]) => {
      const { reservation } = harness.decide({ pinned: worker, blocks });
      socket.send(batchFrame({ progress: [{ reservation, phase: Phase.FIRST_TOKEN }] }));
    };
    decoding(a, A, [1, 2, 3]);
    decoding(b, B, [7, 8]);
    expect(harness.decide({ blocks: [1, 2, 3] }).worker).toBe(A);
  });

  test('says that a model is unknown, that nobody serves, that all were lost: each in its own words', () => {
    const harness = new Harness();
    expect(harness.route()).toMatchObject({ kind: 'refusal', code: 'model_not_found' });
    const socket = harness.worker(A);
    expect(harness.route({ exclude: [A] })).toMatchObject({ code: 'no_workers' });
    expect(harness.route({ pinned: B })).toMatchObject({ code: 'worker_unavailable' });
    expect(harness.route({ mode: 'direct' })).toMatchObject({ code: 'invalid_request' });
    socket.send(workerFrame({ case: 'draining', value: {} }));
    expect(harness.route({ pinned: A })).toMatchObject({ code: 'worker_draining' });
    expect(harness.route()).toMatchObject({ code: 'no_workers' });
    expect(harness.core.status().inFlight).toBe(0);
  });

  test('refuses hashes that do not fit the prompt', () => {
    const harness = new Harness();
    harness.worker(A);
    expect(harness.route({ blockHashes: new Uint8Array(7) })).toMatchObject({ code: 'invalid_request' });
    expect(harness.route({ blockHashes: hashes(1, 2), promptTokens: 7 })).toMatchObject({
      code: 'invalid_request',
    });
    expect(harness.route({ promptTokens: Number.NaN })).toMatchObject({ code: 'invalid_request' });
    expect(harness.core.status().inFlight).toBe(0);
  });

  test('round-robin takes each in turn, random any, direct the given one', () => {
    const harness = new Harness();
    harness.worker(A);
    harness.worker(B);
    const turns = [1, 2, 3, 4].map(() => harness.decide({ mode: 'round-robin' }).worker);
    expect(turns).toEqual([A, B, A, B]);
    expect([A, B]).toContain(harness.decide({ mode: 'random' }).worker);
    expect(harness.decide({ mode: 'direct', pinned: B }).worker).toBe(B);
  });

  test('frees the attempt before', () => {
    const harness = new Harness();
    harness.worker(A);
    harness.worker(B);
    const first = harness.decide();
    const second = harness.decide({ release: first.reservation, exclude: [first.worker] });
    expect(second.worker).not.toBe(first.worker);
    expect(harness.core.status().inFlight).toBe(1);
  });

  test('never chooses prefill workers', () => {
    const harness = new Harness();
    harness.worker(A, { workerType: WorkerType.PREFILL });
    expect(harness.route()).toMatchObject({ code: 'no_workers' });
  });
});

describe('the life of a request', () => {
  test('loads the worker, loses its prefill with the first token, and leaves nothing behind', () => {
    const harness = new Harness();
    const socket = harness.worker(A);
    const { reservation } = harness.decide({ blocks: [1, 2, 3] });
    expect(harness.state(A)).toMatchObject({ activeRequests: 1, activePrefillTokens: 13, activeBlocks: 3 });
    socket.send(batchFrame({ progress: [{ reservation, phase: Phase.ACCEPTED }] }));
    socket.send(batchFrame({ progress: [{ reservation, phase: Phase.FIRST_TOKEN, ttftMs: 20 }] }));
    expect(harness.state(A)).toMatchObject({ activeRequests: 1, activePrefillTokens: 0, activeBlocks: 3 });
    socket.send(endFrame(reservation));
    expect(harness.state(A)).toMatchObject({ activeRequests: 0, activePrefillTokens: 0, activeBlocks: 0 });
  });

  test('grows with the output when that is tracked', () => {
    const harness = new Harness({ trackOutputBlocks: true });
    const socket = harness.worker(A);
    const { reservation } = harness.decide({ blocks: [1, 2] });
    const growth = (outputTokens: number) =>
      socket.send(batchFrame({ progress: [{ reservation, phase: Phase.GROWTH, outputTokens }] }));
    growth(3);
    expect(harness.state(A).activeBlocks).toBe(2);
    growth(9);
    expect(harness.state(A).activeBlocks).toBe(4);
    socket.send(endFrame(reservation));
    expect(harness.state(A).activeBlocks).toBe(0);
  });

  test('is nobody else’s business', () => {
    const harness = new Harness();
    harness.worker(A);
    const stranger = harness.worker(B);
    const { reservation } = harness.decide({ pinned: A });
    stranger.send(endFrame(reservation));
    expect(harness.core.status().inFlight).toBe(1);
    expect(harness.core.metrics()).toContain('stator_router_progress_ignored_total 1');
  });

  test('ends when nobody accepts it in time', () => {
    const harness = new Harness();
    const socket = harness.worker(A);
    const kept = harness.decide();
    socket.send(batchFrame({ progress: [{ reservation: kept.reservation, phase: Phase.ACCEPTED }] }));
    harness.decide();
    for (let i = 0; i < 10; i++) {
      harness.clock.advance(1_000);
      socket.send(batchFrame({}));
      harness.core.sweep(harness.clock.nowMs());
    }
    expect(harness.core.status().inFlight).toBe(1);
    for (let i = 0; i < 331; i++) {
      harness.clock.advance(1_000);
      socket.send(batchFrame({}));
      harness.core.sweep(harness.clock.nowMs());
    }
    expect(harness.core.status().inFlight).toBe(0);
  });

  test('release is idempotent and ignores numbers that mean nothing', () => {
    const harness = new Harness();
    harness.worker(A);
    const { reservation } = harness.decide();
    harness.core.release(reservation);
    harness.core.release(reservation);
    harness.core.release(0);
    expect(harness.state(A)).toMatchObject({ activeRequests: 0, activePrefillTokens: 0, activeBlocks: 0 });
  });
});

describe('a worker that goes', () => {
  test('in order: its lease ends at once, with its index and its requests', () => {
    const harness = new Harness();
    const socket = harness.worker(A, {}, [[1, 2]]);
    harness.worker(B);
    harness.decide({ pinned: A });
    socket.hangUp(1000);
    expect(harness.core.status()).toMatchObject({ inFlight: 0, indexBlocks: 0 });
    expect(harness.core.models('default')[0]?.instances).toEqual([B]);
  });

  test('by a broken socket: it is the last resort until its lease ends', () => {
    const harness = new Harness();
    const socket = harness.worker(A, {}, [[1, 2]]);
    socket.hangUp(1006);
    expect(harness.decide({ blocks: [1, 2] }).worker).toBe(A);
    harness.worker(B);
    expect(harness.decide({ blocks: [1, 2] }).worker).toBe(B);
    harness.clock.advance(10_001);
    harness.core.sweep(harness.clock.nowMs());
    expect(harness.core.workerCount).toBe(0);
    expect(harness.core.models('default')).toEqual([]);
  });

  test('by silence: the lease ends and the socket is closed', () => {
    const harness = new Harness();
    const socket = harness.worker(A);
    harness.clock.advance(9_000);
    socket.send(batchFrame({}));
    expect(socket.kinds).toContain('ack');
    harness.clock.advance(9_000);
    harness.core.sweep(harness.clock.nowMs());
    expect(harness.core.workerCount).toBe(1);
    harness.clock.advance(1_001);
    harness.core.sweep(harness.clock.nowMs());
    expect(harness.core.workerCount).toBe(0);
    expect(socket.closed?.reason).toBe('lease-ended');
  });

  test('by draining: nothing new, what runs goes on, and it is no longer published', () => {
    const harness = new Harness();
    const socket = harness.worker(A);
    harness.worker(B);
    harness.decide({ pinned: A });
    socket.send(workerFrame({ case: 'draining', value: {} }));
    expect(harness.core.models('default')[0]?.instances).toEqual([B]);
    for (let i = 0; i < 4; i++) expect(harness.decide({ mode: 'round-robin' }).worker).toBe(B);
    expect(harness.state(A)).toMatchObject({ phase: 'draining', activeRequests: 1 });
  });

  test('leaves its slot clean for the next one', () => {
    const harness = new Harness();
    harness.worker(B);
    harness.worker(A, {}, [[1, 2]]).hangUp();
    harness.worker('00000000000000c3');
    expect(harness.decide({ blocks: [1, 2], pinned: '00000000000000c3' }).overlapBlocks).toBe(0);
  });
});

test('what a worker that went had is freed in quiet times, a bounded piece at each sweep', () => {
  let left = 3 * LIMITS.indexSweepSteps;
  const prefixIndex = () => Object.assign(naiveIndexes.prefixIndex(), { sweep: () => --left > 0 });
  const harness = new Harness({}, { indexes: { ...naiveIndexes, prefixIndex } });
  harness.worker(A);
  for (const after of [2, 1, 0, 0]) {
    harness.core.sweep(harness.clock.nowMs());
    expect(Math.max(left, 0)).toBe(after * LIMITS.indexSweepSteps);
  }
});

test('a core whose memory was given back hears nothing from its old sockets', () => {
  const harness = new Harness();
  const socket = harness.worker(A, {}, [[1, 2]]);
  const broken = harness.worker(B);
  harness.core.dispose();
  const { changes } = harness;
  socket.hangUp(1000);
  broken.hangUp(1006);
  expect(harness.changes).toBe(changes);
  expect(harness.core.status().workers).toEqual([]);
});

describe('KV events', () => {
  test('make the index of their rank; those of every tier are one sequence', () => {
    const harness = new Harness();
    const socket = harness.worker(A);
    socket.send(
      batchFrame({
        kvEvents: [
          storedEvent(0, [1, 2]),
          { ...storedEvent(1, [3], { parent: 2 }), storageTier: StorageTier.DISK },
          storedEvent(2, [4], { parent: 2 }),
          { eventId: 3n, data: { case: 'removed', value: { blockHashes: hashes(4) } } },
        ],
      }),
    );
    expect(harness.core.status().indexBlocks).toBe(3);
    expect(harness.decide({ blocks: [1, 2, 3] }).overlapBlocks).toBe(2);
    expect(harness.core.metrics()).toContain('kv_cache_events_applied{event_type="stored",status="ok"} 3');
  });

  test('with a gap make the router ask for what is missing', () => {
    const harness = new Harness();
    const socket = harness.worker(A);
    socket.send(batchFrame({ kvEvents: [storedEvent(0, [1]), storedEvent(2, [3], { parent: 2 })] }));
    const ask = socket.frames.at(-1);
    expect(ask).toMatchObject({ case: 'resend', value: { fromEventId: 1n, dpRank: 0 } });
    expect(harness.core.status().indexBlocks).toBe(1);
    socket.send(
      batchFrame({
        kvEvents: [storedEvent(1, [2], { parent: 1 }), storedEvent(2, [3], { parent: 2 })],
      }),
    );
    expect(harness.decide({ blocks: [1, 2, 3] }).overlapBlocks).toBe(3);
  });

  test('are told apart by dp rank', () => {
    const harness = new Harness();
    const runtime = { engine: 'mock', kvEventPublishingEnabled: true, dataParallelSize: 2 };
    const socket = harness.worker(A, { runtime });
    socket.send(workerFrame({ case: 'dump', value: { dpRank: 1, first: true, last: true } }));
    socket.send(batchFrame({ kvEvents: [storedEvent(0, [1], { dpRank: 1 }), storedEvent(0, [7])] }));
    expect(harness.state(A).cachedBlocks).toBe(2);
    expect(socket.kinds).not.toContain('resend');
  });
});

test('clearKvBlocks tells every connected worker', () => {
  const harness = new Harness();
  const socket = harness.worker(A);
  harness.worker(B).hangUp(1006);
  expect(harness.core.clearKvBlocks()).toBe(1);
  expect(socket.kinds.at(-1)).toBe('clearKv');
});

test('the status has the tiers of a worker, as it told them last', () => {
  const harness = new Harness();
  const socket = harness.worker(A);
  expect(harness.state(A).tiers).toEqual([]);
  const disk = { storageTier: 2, capacityBlocks: 50n, blocks: 20n, degraded: true };
  const host = { storageTier: 1, capacityBlocks: 10n, blocks: 10n };
  socket.send(batchFrame({ load: { running: 1, tiers: [disk, host] } }));
  socket.send(batchFrame({ kvEvents: [] }));
  expect(harness.state(A).tiers).toEqual([
    { tier: 'host', blocks: 10, capacityBlocks: 10, degraded: false },
    { tier: 'disk', blocks: 20, capacityBlocks: 50, degraded: true },
  ]);
  socket.send(batchFrame({ load: { running: 1 } }));
  expect(harness.state(A).tiers).toEqual([]);
});

test('metrics name the worker and its loads', () => {
  const harness = new Harness();
  harness.worker(A);
  harness.decide({ blocks: [1, 2] });
  const text = harness.core.metrics();
  expect(text).toContain('stator_router_requests_total{model="tiny"} 1');
  expect(text).toContain(`stator_worker_active_decode_blocks{model="tiny",worker_id="${A}",dp_rank="0"} 2`);
  expect(text).toContain('stator_router_inflight_requests 1');
  expect(text).toContain('stator_router_workers{phase="serving"} 1');
});
