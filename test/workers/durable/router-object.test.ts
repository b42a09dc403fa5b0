/** Do the objects work in real workerd, over real sockets and RPC, and come back after losing their memory? */

import { abortAllDurableObjects } from 'cloudflare:test';
import { describe, expect, test } from 'vitest';
import type { RouteRequest } from '../../../durable/router/rpc.ts';
import { Phase } from '../../../gpu-sidecar/proto/gen/stator/v1/fleet_pb.js';
import {
  batchFrame,
  dumpFrame,
  endFrame,
  registerFrame,
  storedEvent,
  workerFrame,
} from '../../durable/router/fleet-worker.ts';
import { hashes } from '../../durable/router/naive-indexes.ts';
import { directoryStub, FleetClient, routerStub, until, upgradeRequest } from './fleet-client.ts';

const A = '00000000000000a1';
const B = '00000000000000b2';
let tests = 0;
/** A namespace of its own for each test: objects outlive tests. */
const newNamespace = () => `test-${++tests}`;

const prompt = (...blocks: number[]): RouteRequest => ({
  requestId: 'req_1',
  model: 'tiny',
  blockHashes: hashes(...blocks),
  promptTokens: blocks.length * 4 + 1,
});

/** A registered worker whose index the router has. */
async function joined(namespace: string, instanceId: string, paths: number[][] = []): Promise<FleetClient> {
  const client = await FleetClient.open(namespace);
  client.send(registerFrame({ instanceId }));
  await client.take('welcome');
  await client.take('sendDump');
  client.send(paths.length === 0 ? dumpFrame([]) : dumpFrame(paths, 0));
  await heartbeat(client);
  return client;
}

/** Frames are handled in order: once the ack is here, everything before it is done. */
async function heartbeat(client: FleetClient): Promise<void> {
  client.send(batchFrame({}));
  await client.take('ack');
}

async function decided(namespace: string, request: RouteRequest) {
  const answer = await routerStub(namespace).route(request);
  if (answer.kind !== 'decision') throw new Error(JSON.stringify(answer));
  return answer;
}

test('a request lives: register over a real socket, route, progress, end, leave', async () => {
  const namespace = newNamespace();
  const router = routerStub(namespace);
  const client = await joined(namespace, A);
  const { worker, reservation, routerBoot } = await decided(namespace, prompt(1, 2));
  expect({ worker, overlap: routerBoot > 0 }).toEqual({ worker: A, overlap: true });
  client.send(
    batchFrame({
      progress: [
        { reservation, phase: Phase.ACCEPTED },
        { reservation, phase: Phase.FIRST_TOKEN, outputTokens: 1, ttftMs: 12 },
      ],
      load: { running: 1, kvUsedBlocks: 5 },
    }),
  );
  await heartbeat(client);
  expect((await router.status()).workers[0]).toMatchObject({
    activeRequests: 1,
    activePrefillTokens: 0,
    activeBlocks: 2,
    running: 1,
  });
  client.send(endFrame(reservation));
  await heartbeat(client);
  expect(await router.status()).toMatchObject({ inFlight: 0 });
  expect(await router.metrics()).toContain('stator_router_time_to_first_token_seconds_count{model="tiny"} 1');
  client.close();
  expect(await client.untilClosed()).toBe(1000);
  expect((await router.status()).workers).toEqual([]);
});

test('release is what a function calls when its attempt came to nothing', async () => {
  const namespace = newNamespace();
  await joined(namespace, A);
  const { reservation } = await decided(namespace, prompt(1));
  await routerStub(namespace).release(reservation);
  await routerStub(namespace).release(reservation);
  expect((await routerStub(namespace).status()).inFlight).toBe(0);
});

test('the directory hears of the models, and of their end', async () => {
  const namespace = newNamespace();
  const client = await joined(namespace, A);
  const of = async () =>
    (await directoryStub().read(-1))?.models.filter((model) => model.namespace === namespace) ?? [];
  const [entry] = await until(of, (models) => models.length === 1);
  expect(entry).toMatchObject({ name: 'tiny', instances: [A], addresses: ['http://127.0.0.1:9001'] });
  const { version } = (await directoryStub().read(-1))!;
  expect(await directoryStub().read(version)).toBeNull();
  expect((await decided(namespace, prompt())).directoryVersion).toBeGreaterThan(0);
  client.close();
  await until(of, (models) => models.length === 0);
});

test('KV events decide where a prompt goes', async () => {
  const namespace = newNamespace();
  await joined(namespace, A);
  const b = await joined(namespace, B);
  b.send(batchFrame({ kvEvents: [storedEvent(0, [1, 2]), storedEvent(1, [3], { parent: 2 })] }));
  await heartbeat(b);
  expect(await decided(namespace, prompt(1, 2, 3, 4))).toMatchObject({ worker: B, overlapBlocks: 3 });
});

test('a gap is asked for and repaired', async () => {
  const namespace = newNamespace();
  const client = await joined(namespace, A);
  client.send(batchFrame({ kvEvents: [storedEvent(0, [1]), storedEvent(2, [3], { parent: 2 })] }));
  expect(await client.take('resend')).toMatchObject({ value: { fromEventId: 1n } });
  client.send(
    batchFrame({ kvEvents: [storedEvent(1, [2], { parent: 1 }), storedEvent(2, [3], { parent: 2 })] }),
  );
  await heartbeat(client);
  expect(await decided(namespace, prompt(1, 2, 3))).toMatchObject({ overlapBlocks: 3 });
});

test('a router that lost its memory has the index back as soon as its workers are back', async () => {
  const namespace = newNamespace();
  const before = await joined(namespace, A, [[1, 2, 3]]);
  const first = await decided(namespace, prompt(1, 2, 3));
  expect(first.overlapBlocks).toBe(3);
  await abortAllDurableObjects();
  await before.untilClosed();
  expect(await routerStub(namespace).route(prompt())).toMatchObject({ code: 'model_not_found' });
  await joined(namespace, A, [[1, 2, 3]]);
  const second = await decided(namespace, prompt(1, 2, 3));
  expect(second.overlapBlocks).toBe(3);
  expect(second.routerBoot).not.toBe(first.routerBoot);
  expect((await routerStub(namespace).status()).inFlight).toBe(1);
});

test('an older epoch is told so and closed; a newer one takes over', async () => {
  const namespace = newNamespace();
  const current = await FleetClient.open(namespace);
  current.send(registerFrame({ epoch: 5n }));
  await current.take('welcome');
  const old = await FleetClient.open(namespace);
  old.send(registerFrame({ epoch: 4n }));
  expect(await old.take('rejected')).toMatchObject({ value: { code: 'stale_epoch' } });
  expect(await old.untilClosed()).toBe(4000);
  const next = await FleetClient.open(namespace);
  next.send(registerFrame({ epoch: 6n }));
  await next.take('welcome');
  expect(await current.take('rejected')).toMatchObject({ value: { code: 'stale_epoch' } });
  await current.untilClosed();
  expect((await routerStub(namespace).status()).workers).toMatchObject([{ epoch: 6 }]);
});

describe('bad input is answered once and closes the socket', () => {
  const bad: [string, Uint8Array | string][] = [
    ['text', 'hello'],
    ['bytes that are no protobuf', Uint8Array.of(0xff, 0xff, 0xff)],
    ['a frame of an unknown kind', Uint8Array.of(0x7a, 0x00)],
    ['a truncated frame', registerFrame().slice(0, 40)],
    ['a frame before Register', batchFrame({})],
    ['a Register without a card', workerFrame({ case: 'register', value: { instanceId: A } })],
  ];
  for (const [name, frame] of bad) {
    test(`${name}, as the first`, async () => {
      const client = await FleetClient.open(newNamespace());
      client.send(frame);
      expect(await client.take('rejected')).toMatchObject({ value: { code: 'invalid_frame' } });
      expect(await client.untilClosed()).toBe(4000);
    });
  }

  test('a frame near the limit is taken; one of a million blocks is refused', async () => {
    const namespace = newNamespace();
    const client = await joined(namespace, A);
    const stored = (blocks: number) => {
      const many = new Uint8Array(BigUint64Array.from({ length: blocks }, (_, i) => BigInt(i + 1)).buffer);
      const value = { blockHashes: many, tokensHashes: many };
      return batchFrame({ kvEvents: [{ eventId: 0n, data: { case: 'stored', value } }] });
    };
    client.send(stored(250_000));
    await heartbeat(client);
    expect(await routerStub(namespace).status()).toMatchObject({ indexBlocks: 250_000 });
    client.send(stored(1_000_000));
    expect(await client.take('rejected')).toMatchObject({ value: { code: 'invalid_frame' } });
    await client.untilClosed();
    expect(await routerStub(namespace).metrics()).toContain('fleet_rejected_total{code="invalid_frame"} 1');
  });

  test('later: the worker is gone, with its requests', async () => {
    const namespace = newNamespace();
    const client = await joined(namespace, A, [[1, 2]]);
    await decided(namespace, prompt(1, 2));
    client.send(batchFrame({ kvEvents: [storedEvent(1, [7]), storedEvent(2, [8], { dpRank: 3 })] }));
    expect(await client.take('rejected')).toMatchObject({ value: { code: 'invalid_frame' } });
    await client.untilClosed();
    expect(await routerStub(namespace).status()).toMatchObject({ inFlight: 0, workers: [] });
  });
});

test('what is not a fleet socket is refused in words', async () => {
  const namespace = newNamespace();
  const router = routerStub(namespace);
  const plain = await router.fetch(new Request(`http://router/fleet/v1/${namespace}`));
  expect({ status: plain.status, body: await plain.json() }).toMatchObject({
    status: 400,
    body: { error: { code: 'invalid_request' } },
  });
  const other = await router.fetch(upgradeRequest(namespace, 'graphql-ws'));
  expect(other.status).toBe(400);
  await other.text();
  const lost = await router.fetch(new Request('http://router/elsewhere'));
  expect(lost.status).toBe(404);
  await lost.text();
});
