/** Does the shell publish, sweep, restart and end its timers? The same classes as in workerd, on the Node platform. */

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Directory } from '../../../durable/directory/directory-object.ts';
import type { PairedSocket } from '../../../durable/platform/socket-pair.ts';
import { Router } from '../../../durable/router/router-object.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { dumpFrame, parseRouterFrame, registerFrame } from './fleet-worker.ts';
import { hashes } from './naive-indexes.ts';

/** The shells in Node: the same classes on the Node form of `#platform`, and a Directory that may fail. */
function deployment(env: Record<string, unknown> = {}) {
  const directory = new Directory({} as never, {} as never);
  let failures = 0;
  const publish = async (...args: Parameters<Directory['publish']>) => {
    if (failures-- > 0) throw new Error('the directory is away');
    return directory.publish(...args);
  };
  const DIRECTORY = { idFromName: (name: string) => name, get: () => ({ publish }) };
  const bindings = { STATOR_LOG_LEVEL: 'error', ...env, DIRECTORY };
  const make = () => new Router({ id: 'router-1' } as never, bindings);
  const fail = (times: number) => {
    failures = times;
  };
  const models = () => directory.read(-1)?.models.map(({ name }) => name);
  return { router: make(), restart: make, fail, models };
}

function connect(router: Router): PairedSocket {
  const headers = { upgrade: 'websocket', 'sec-websocket-protocol': 'stator.fleet.v1' };
  const response = router.fetch(new Request('http://router/fleet/v1/default', { headers }));
  return (response as Response & { webSocket: PairedSocket }).webSocket;
}

const settled = () => vi.advanceTimersByTimeAsync(0);

async function join(router: Router, paths: number[][] = []): Promise<PairedSocket> {
  const socket = connect(router);
  socket.send(registerFrame());
  socket.send(dumpFrame(paths, 0));
  await settled();
  return socket;
}

const prompt = { requestId: 'req_1', model: 'tiny', blockHashes: hashes(1, 2), promptTokens: 9 };

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
});
afterEach(() => {
  vi.useRealTimers();
});

test('a worker joins, is published, serves, and is gone with its socket', async () => {
  const { router, models } = deployment();
  const socket = await join(router, [[1, 2]]);
  expect(models()).toEqual(['tiny']);
  expect(router.route(prompt)).toMatchObject({ kind: 'decision', overlapBlocks: 2 });
  socket.close();
  await settled();
  expect(models()).toEqual([]);
  expect(router.status()).toMatchObject({ inFlight: 0, workers: [] });
});

test('settings come from STATOR_ variables', async () => {
  const { router } = deployment({ STATOR_ROUTER_MODE: 'round-robin', STATOR_METRICS_PREFIX: 'mine' });
  expect(router.status().mode).toBe('round-robin');
  expect(router.metrics()).toContain('mine_router_inflight_requests 0');
  expect(() => deployment({ STATOR_LEASE_MS: 'soon' })).toThrow('STATOR_LEASE_MS');
});

test('the directory is told again after it failed', async () => {
  const { router, fail, models } = deployment();
  fail(1);
  const socket = await join(router);
  const alive = setInterval(() => socket.send(Uint8Array.of(0x12, 0)), 1_000);
  expect(models()).toEqual([]);
  await vi.advanceTimersByTimeAsync(LIMITS.republishMs + LIMITS.sweepMs);
  expect(models()).toEqual(['tiny']);
  await vi.advanceTimersByTimeAsync(2 * LIMITS.namespaceLeaseMs);
  expect(models()).toEqual(['tiny']);
  clearInterval(alive);
});

test('a silent worker loses its lease, then nothing ticks any more', async () => {
  const { router, models } = deployment({ STATOR_LEASE_MS: '3000' });
  await join(router);
  await vi.advanceTimersByTimeAsync(3_000);
  expect(router.status().workers).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(router.status().workers).toEqual([]);
  expect(models()).toEqual([]);
  await vi.advanceTimersByTimeAsync(LIMITS.sweepMs);
  expect(vi.getTimerCount()).toBe(0);
});

test('a worker that hangs up without a word keeps its lease', async () => {
  const { router } = deployment();
  const socket = await join(router);
  socket.abort();
  await settled();
  expect(router.route(prompt)).toMatchObject({ kind: 'decision' });
  expect(router.status().workers).toMatchObject([{ phase: 'lost' }]);
});

test('a socket that never registers is closed', async () => {
  const { router } = deployment();
  const socket = connect(router);
  const frames: (string | undefined)[] = [];
  socket.addEventListener('message', ({ data }) =>
    frames.push(parseRouterFrame(new Uint8Array(data as ArrayBuffer)).case),
  );
  await vi.advanceTimersByTimeAsync(LIMITS.registerTimeoutMs + LIMITS.sweepMs);
  expect(frames).toEqual(['rejected']);
});

test('a restarted object starts empty and gives the memory of its earlier life back', async () => {
  const { router, restart } = deployment();
  await join(router, [[1, 2]]);
  const next = restart();
  expect(next.status()).toMatchObject({ indexBlocks: 0, workers: [] });
  await join(next, [[1, 2]]);
  expect(next.route(prompt)).toMatchObject({ overlapBlocks: 2 });
});
