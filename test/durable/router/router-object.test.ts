/** Does the shell publish, sweep, restart and end its timers? The same classes as in workerd, in the Node runtime. */

import { expect, test, vi } from 'vitest';
import { Directory } from '../../../durable/directory/directory-object.ts';
import { ObjectNamespace } from '../../../durable/polyfill/object-namespace.ts';
import type { PairedSocket } from '../../../durable/polyfill/socket-pair.ts';
import { VirtualHost } from '../../../durable/polyfill/virtual-host.ts';
import { Router } from '../../../durable/router/router-object.ts';
import { wasmIndexes } from '../../../durable/router/wasm-indexes.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { WorkerType } from '../../../gpu-sidecar/proto/gen/stator/v1/model_pb.js';
import { dumpFrame, parseRouterFrame, registerFrame } from './fleet-worker.ts';
import { hashes } from './naive-indexes.ts';

/** Both objects on virtual time. */
function deployment(env: Record<string, unknown> = {}) {
  const host = new VirtualHost({ startMs: 1_000_000 });
  const report = (error: unknown) => {
    throw error;
  };
  const directories = new ObjectNamespace(Directory, { env: {}, host, report });
  const bindings = { STATOR_LOG_LEVEL: 'error', DIRECTORY: directories, ...env };
  const routers = new ObjectNamespace(Router, { env: bindings, host, report });
  const router = routers.getByName('default');
  const directory = directories.getByName('directory');
  return {
    host,
    router,
    models: async () => (await directory.read(-1))?.models.map(({ name }) => name),
    crashRouter: () => routers.crash(routers.idFromName('default')),
    crashDirectory: () => directories.crash(directories.idFromName('directory')),
  };
}

type Deployment = ReturnType<typeof deployment>;

async function connect({ router }: Deployment): Promise<PairedSocket> {
  const headers = { upgrade: 'websocket', 'sec-websocket-protocol': 'stator.fleet.v1' };
  const response = await router.fetch(new Request('http://router/fleet/v1/default', { headers }));
  return (response as Response & { webSocket: PairedSocket }).webSocket;
}

async function join(all: Deployment, paths: number[][] = []): Promise<PairedSocket> {
  const socket = await connect(all);
  socket.send(registerFrame());
  socket.send(dumpFrame(paths, 0));
  await all.host.advance(0);
  return socket;
}

/** Lets a worker send heartbeats for some time. */
async function beat({ host }: Deployment, socket: PairedSocket, forMs: number): Promise<void> {
  for (let ms = 0; ms < forMs; ms += 1_000) {
    socket.send(Uint8Array.of(0x12, 0));
    await host.advance(1_000);
  }
}

const prompt = { requestId: 'req_1', model: 'tiny', blockHashes: hashes(1, 2), promptTokens: 9 };

test('a worker joins, is published, serves, and is gone with its socket', async () => {
  const all = deployment();
  const socket = await join(all, [[1, 2]]);
  expect(await all.models()).toEqual(['tiny']);
  expect(await all.router.route(prompt)).toMatchObject({ kind: 'decision', overlapBlocks: 2 });
  socket.close();
  await all.host.advance(0);
  expect(await all.models()).toEqual([]);
  expect(await all.router.status()).toMatchObject({ inFlight: 0, workers: [] });
});

test('the prefill queue hears at once of a prefill worker whose socket broke', async () => {
  const lost: string[] = [];
  const queue = { workerLost: async (worker: string) => void lost.push(worker) };
  const names: string[] = [];
  const PREFILL_QUEUE = { idFromName: (name: string) => names.push(name), get: () => queue };
  const all = deployment({ STATOR_PREFILL_HANDOFF: 'queue', PREFILL_QUEUE });
  for (const workerType of [WorkerType.PREFILL, WorkerType.DECODE]) {
    const socket = await connect(all);
    socket.send(registerFrame({ workerType, instanceId: `00000000000000a${workerType}` }));
    await all.host.advance(0);
    socket.close(1011, 'broken');
    await all.host.advance(0);
  }
  expect([lost, names]).toEqual([['00000000000000a2'], ['default']]);
});

test('settings come from STATOR_ variables', async () => {
  const { router } = deployment({ STATOR_ROUTER_MODE: 'round-robin', STATOR_METRICS_PREFIX: 'mine' });
  expect((await router.status()).mode).toBe('round-robin');
  expect(await router.metrics()).toContain('mine_router_inflight_requests 0');
  await expect(deployment({ STATOR_LEASE_MS: 'soon' }).router.status()).rejects.toThrow('STATOR_LEASE_MS');
});

test('a directory that lost its memory is told again, and does not forget who is there', async () => {
  const all = deployment();
  const socket = await join(all);
  all.crashDirectory();
  expect(await all.models()).toEqual([]);
  await beat(all, socket, LIMITS.republishMs + LIMITS.sweepMs);
  expect(await all.models()).toEqual(['tiny']);
  await beat(all, socket, 2 * LIMITS.namespaceLeaseMs);
  expect(await all.models()).toEqual(['tiny']);
});

test('a directory that is away is told again', async () => {
  let away = true;
  const told: string[][] = [];
  const publish = async (_namespace: string, models: { name: string }[]) => {
    if (away) throw new Error('away');
    return told.push(models.map(({ name }) => name));
  };
  const all = deployment({ DIRECTORY: { idFromName: (name: string) => name, get: () => ({ publish }) } });
  const socket = await join(all);
  expect(told).toEqual([]);
  away = false;
  await beat(all, socket, LIMITS.republishMs + LIMITS.sweepMs);
  expect(told).toEqual([['tiny']]);
});

test('what changes while the directory is being told is told right after', async () => {
  const answers: (() => void)[] = [];
  const told: number[] = [];
  const publish = (_namespace: string, models: { instances: string[] }[]) => {
    told.push(models[0]?.instances.length ?? 0);
    return new Promise<number>((resolve) => answers.push(() => resolve(told.length)));
  };
  const all = deployment({ DIRECTORY: { idFromName: (name: string) => name, get: () => ({ publish }) } });
  await join(all);
  const second = await connect(all);
  second.send(registerFrame({ instanceId: 'b2' }));
  await all.host.advance(0);
  expect(told).toEqual([1]);
  answers.shift()!();
  await all.host.advance(0);
  expect(told).toEqual([1, 2]);
});

test('a silent worker loses its lease, then nothing ticks any more', async () => {
  const all = deployment({ STATOR_LEASE_MS: '3000' });
  await join(all);
  await all.host.advance(3_000);
  expect((await all.router.status()).workers).toHaveLength(1);
  await all.host.advance(1_000);
  expect((await all.router.status()).workers).toEqual([]);
  expect(await all.models()).toEqual([]);
  await all.host.advance(LIMITS.sweepMs);
  expect(all.host.pending).toBe(0);
});

test('a worker that hangs up without a word keeps its lease', async () => {
  const all = deployment();
  const socket = await join(all);
  socket.abort();
  await all.host.advance(0);
  expect(await all.router.route(prompt)).toMatchObject({ kind: 'decision' });
  expect((await all.router.status()).workers).toMatchObject([{ phase: 'lost' }]);
});

test('a socket that never registers is closed', async () => {
  const all = deployment();
  const socket = await connect(all);
  const frames: (string | undefined)[] = [];
  socket.addEventListener('message', ({ data }) => {
    frames.push(parseRouterFrame(new Uint8Array(data as ArrayBuffer)).case);
  });
  await all.host.advance(LIMITS.registerTimeoutMs + LIMITS.sweepMs);
  expect(frames).toEqual(['rejected']);
});

test('a router that lost its memory gives that of its earlier life back', async () => {
  const made = vi.spyOn(wasmIndexes, 'prefixIndex');
  const all = deployment();
  await join(all, [[1, 2]]);
  const index = made.mock.results[0]!.value;
  expect(index.blocks).toBe(2);
  all.crashRouter();
  await all.router.status();
  expect(() => index.blocks).toThrow();
  made.mockRestore();
});

test('a router that lost its memory starts empty, breaks its sockets, and has the index back with its workers', async () => {
  const all = deployment();
  const socket = await join(all, [[1, 2]]);
  let code = 0;
  socket.addEventListener('close', (event) => {
    code = event.code;
  });
  all.crashRouter();
  expect(code).toBe(1006);
  expect(await all.router.status()).toMatchObject({ indexBlocks: 0, workers: [] });
  await join(all, [[1, 2]]);
  expect(await all.router.route(prompt)).toMatchObject({ overlapBlocks: 2 });
  expect(await all.router.status()).toMatchObject({ inFlight: 1, indexBlocks: 2 });
});
