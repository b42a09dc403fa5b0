/** The fleet client against a scripted router: a real socket, hand-driven time. */

import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { Logger } from '../../../durable/runtime/log.ts';
import { FleetClient } from '../../../gpu-sidecar/fleet/client.ts';
import { Outbox } from '../../../gpu-sidecar/fleet/outbox.ts';
import { ProgressBook } from '../../../gpu-sidecar/fleet/progress.ts';
import type { Refusal } from '../../../gpu-sidecar/fleet/refusal.ts';
import { registerFrame } from '../../../gpu-sidecar/fleet/register.ts';
import { WorkerEvents } from '../../../gpu-sidecar/fleet/worker-events.ts';
import { Phase, RejectedSchema } from '../../../gpu-sidecar/proto/gen/stator/v1/fleet_pb.js';
import { WorkerType } from '../../../gpu-sidecar/proto/gen/stator/v1/model_pb.js';
import { workerLimits } from '../../../gpu-sidecar/server/worker-limits.ts';
import { ManualTime } from '../../harness/manual-time.ts';
import { requestProgress } from '../../harness/request-progress.ts';
import { ScriptedEngine } from '../../harness/scripted-engine.ts';
import { ScriptedRouter } from '../../harness/scripted-router.ts';
import { soon } from '../../harness/soon.ts';

const hashes = (...values: number[]) => new Uint8Array(BigUint64Array.from(values.map(BigInt)).buffer);
const identity = {
  instanceId: '00000000000000aa',
  epoch: 1_800_000_000_000,
  httpAddress: 'http://127.0.0.1:1',
  grpcAddress: '127.0.0.1:2',
};

/** A client of the router on hand-driven time; the network is real. */
function connect(router: ScriptedRouter) {
  const time = new ManualTime();
  const calls: string[] = [];
  const refusals: Refusal[] = [];
  const lines: string[] = [];
  const events = new WorkerEvents({ ring: 4, dumpBlocksPerFrame: 4, changed: () => client.changed() });
  const progress = new ProgressBook(100, (idle) => client.changed(idle));
  const engine = new ScriptedEngine();
  const client: FleetClient = new FleetClient({
    url: () => router.url,
    token: 'secret',
    register: registerFrame(identity, engine.info),
    outbox: new Outbox({ events, progress, load: () => engine.load(), frameBytes: 1 << 20 }),
    dump: () => events.dump(),
    snapshotPiece: (piece) => events.snapshotPiece(piece),
    commands: {
      welcomed: () => void calls.push('welcomed'),
      drain: () => void calls.push('drain'),
      clearKv: () => void calls.push('clear-kv'),
      refused: (refusal) => void refusals.push(refusal),
    },
    clock: time,
    timers: time,
    random: () => 0,
    limits: workerLimits,
    log: new Logger({ component: 'test', write: (line) => void lines.push(line) }),
  });
  const store = (block: number) =>
    events.stored({ parentHash: null, blockHashes: hashes(block), tokensHashes: hashes(block) });
  return { client, engine, time, calls, refusals, lines, events, progress, store };
}

async function live(router: ScriptedRouter) {
  const worker = connect(router);
  worker.client.start();
  await soon(() => expect(worker.client.session).toBe('live'));
  return worker;
}

/** Time passes until something has come true. */
const passing = (time: ManualTime, stepMs: number, check: () => void) =>
  soon(() => {
    time.advance(stepMs);
    check();
  });

test('a worker dials with the token and the subprotocol and says who it is', async () => {
  await using router = await ScriptedRouter.open();
  const { calls, client } = await live(router);
  expect(router.dials).toEqual([
    { path: '/fleet/v1/default', authorization: 'Bearer secret', protocol: 'stator.fleet.v1' },
  ]);
  expect(router.of('register')[0]!.value).toMatchObject({
    ...identity,
    epoch: BigInt(identity.epoch),
    component: 'backend',
    endpoint: 'generate',
    workerType: WorkerType.AGGREGATED,
    card: { name: 'tiny' },
    cardChecksum: expect.stringMatching(/^[0-9a-f]{64}$/),
    runtime: { totalKvBlocks: 100, engine: 'scripted', deterministic: true },
  });
  expect(calls).toEqual(['welcomed']);
  await client.leave();
});

test('what happens within one batch time goes out as one batch', async () => {
  await using router = await ScriptedRouter.open();
  const { client, store, time } = await live(router);
  store(1);
  store(2);
  time.advance(workerLimits.fleetBatchMs - 1);
  store(3);
  time.advance(1);
  await soon(() => expect(router.of('batch')).toHaveLength(1));
  expect(router.of('batch')[0]!.value.kvEvents.map(({ eventId }) => eventId)).toEqual([0n, 1n, 2n]);
  await client.leave();
});

test('the end of the last request goes out at once', async () => {
  await using router = await ScriptedRouter.open();
  const { client, progress } = await live(router);
  const [first, last] = [requestProgress(), requestProgress({ reservation: 2 })];
  for (const request of [first, last]) progress.report(request);
  progress.report(Object.assign(first, { phase: 'end' }));
  progress.report(Object.assign(last, { phase: 'end' }));
  // Time stands still: nothing but the end itself has sent it.
  await soon(() => expect(router.of('batch')).toHaveLength(1));
  expect(router.of('batch')[0]!.value.progress.map(({ phase }) => phase)).toEqual([Phase.END, Phase.END]);
  await client.leave();
});

test('a load that changes after the last batch is told, too', async () => {
  await using router = await ScriptedRouter.open();
  const { client, engine, store, time } = await live(router);
  store(1);
  time.advance(workerLimits.fleetBatchMs);
  engine.usedBlocks = 8;
  time.advance(workerLimits.loadSettleMs);
  await soon(() => expect(router.of('batch').at(-1)?.value.load?.kvUsedBlocks).toBe(8));
  await client.leave();
});

test('a silent worker sends heartbeats, and a silent router is dialled anew', async () => {
  await using router = await ScriptedRouter.open();
  const { client, time } = await live(router);
  for (let beat = 1; beat <= 5; beat++) {
    time.advance(2_000);
    await soon(() => expect(router.heartbeats).toBe(beat));
    // The answer must be in before time goes on.
    router.send({ case: 'ack', value: { $typeName: 'stator.v1.Ack' } });
    await soon(() => expect(client.session).toBe('live'));
  }
  router.acknowledge = false;
  await passing(time, 500, () => expect(router.dials.length).toBeGreaterThan(1));
  await soon(() => expect(router.closes).toContain(1006));
  await client.leave();
});

test('a broken line is dialled again, and the last event shows the router what it missed', async () => {
  await using router = await ScriptedRouter.open();
  const { client, store, time } = await live(router);
  store(1);
  store(2);
  await passing(time, 1, () => expect(router.of('batch')).toHaveLength(1));
  router.breakLines();
  await soon(() => expect(client.session).toBe('waiting'));
  store(3);
  await passing(time, 10, () => expect(router.of('register')).toHaveLength(2));
  await passing(time, 1, () => expect(router.of('batch')).toHaveLength(2));
  expect(router.of('batch')[1]!.value.kvEvents.map(({ eventId }) => eventId)).toEqual([2n]);
  router.send({ case: 'resend', value: { $typeName: 'stator.v1.ResendEvents', dpRank: 0, fromEventId: 1n } });
  await soon(() => expect(router.of('batch')).toHaveLength(3));
  expect(router.of('batch')[2]!.value.kvEvents.map(({ eventId }) => eventId)).toEqual([1n, 2n]);
  await client.leave();
});

test('a router that asks for more than the ring has gets the whole index', async () => {
  await using router = await ScriptedRouter.open();
  const { client, store } = await live(router);
  for (let block = 1; block <= 6; block++) store(block);
  router.send({ case: 'resend', value: { $typeName: 'stator.v1.ResendEvents', dpRank: 0, fromEventId: 0n } });
  await soon(() => expect(router.of('dump').at(-1)?.value.last).toBe(true));
  expect(router.of('dump').flatMap(({ value }) => value.stored)).toHaveLength(6);
  expect(router.of('dump').at(-1)!.value.lastEventId).toBe(5n);
  await client.leave();
});

test('a restarted router gets a dump, and nothing of the old boot', async () => {
  const old = await ScriptedRouter.open({ boot: 7 });
  const { client, progress, store, time } = await live(old);
  const request = requestProgress();
  progress.report(request);
  store(1);
  await old[Symbol.asyncDispose]();
  await soon(() => expect(client.session).toBe('waiting'));
  await using router = await ScriptedRouter.open({ boot: 8, port: old.port });
  await passing(time, 20, () => expect(router.of('register')).toHaveLength(1));
  await soon(() => expect(client.session).toBe('live'));
  router.send({ case: 'sendDump', value: { $typeName: 'stator.v1.SendDump', dpRank: 0 } });
  await soon(() => expect(router.of('dump')).toHaveLength(1));
  progress.report({ ...request, waiting: false });
  progress.report({ ...request, routerBoot: 8, reservation: 2 });
  const told = () =>
    router.of('batch').flatMap(({ value }) => value.progress.map(({ reservation }) => reservation));
  await passing(time, 5, () => expect(told()).not.toEqual([]));
  expect(told()).toEqual([2]);
  await client.leave();
});

test('orders are passed on, and a frame that nobody can read harms nothing', async () => {
  await using router = await ScriptedRouter.open();
  const { calls, client, lines } = await live(router);
  router.sendRaw(Buffer.from([0xff, 0xff, 0xff]));
  router.send({ case: 'clearKv', value: { $typeName: 'stator.v1.ClearKv' } });
  router.send({ case: 'drain', value: { $typeName: 'stator.v1.Drain' } });
  await soon(() => expect(calls).toEqual(['welcomed', 'clear-kv', 'drain']));
  expect(lines.join()).toContain('cannot be read');
  await client.leave();
});

test('draining is said, also to a router that comes later', async () => {
  await using router = await ScriptedRouter.open();
  const { client, time } = await live(router);
  client.draining();
  await soon(() => expect(router.of('draining')).toHaveLength(1));
  router.breakLines();
  await soon(() => expect(client.session).toBe('waiting'));
  await passing(time, 20, () => expect(router.of('draining')).toHaveLength(2));
  await client.leave();
});

test('leaving tells what is left and closes in order', async () => {
  await using router = await ScriptedRouter.open();
  const { client, store } = await live(router);
  store(1);
  await client.leave();
  await soon(() => expect(router.closes).toEqual([1000]));
  expect(router.of('batch')[0]!.value.kvEvents).toHaveLength(1);
});

test('a refusal for good is reported once and nobody dials again', async () => {
  await using router = await ScriptedRouter.open();
  router.onRegister = {
    case: 'rejected',
    value: create(RejectedSchema, { code: 'card_mismatch', message: 'another card' }),
  };
  const { client, refusals, time } = connect(router);
  client.start();
  await soon(() => expect(refusals).toHaveLength(1));
  expect(refusals[0]!.error).toMatchObject({ code: 'card_mismatch', message: 'another card' });
  await soon(() => expect(router.connected).toBe(0));
  time.advance(60_000);
  expect(router.dials).toHaveLength(1);
});

test('a wrong token is a refusal for good, a platform that is not ready is not', async () => {
  await using router = await ScriptedRouter.open();
  router.refuseUpgrade = 503;
  const { client, refusals, time } = connect(router);
  client.start();
  await passing(time, 20, () => expect(router.dials.length).toBeGreaterThan(2));
  expect(refusals).toEqual([]);
  router.refuseUpgrade = 401;
  await passing(time, 20, () => expect(refusals).toHaveLength(1));
  expect(refusals[0]!.error.code).toBe('invalid_api_key');
});

test('a dump to keep goes out piece by piece, as it is asked for, and takes nothing from the events', async () => {
  await using router = await ScriptedRouter.open({ boot: 7 });
  const { client, store, time } = await live(router);
  for (let i = 1; i <= 6; i++) store(i);
  const ask = (snapshotPiece: number) =>
    router.send({ case: 'sendDump', value: { $typeName: 'stator.v1.SendDump', dpRank: 0, snapshotPiece } });
  const pieces = () => router.of('dump').map(({ value }) => value.snapshotPiece);
  ask(0);
  await soon(() => expect(pieces()).toEqual([0]));
  ask(5);
  ask(1);
  await soon(() => expect(pieces()).toEqual([0, 1]));
  expect(router.of('dump').at(-1)!.value.last).toBe(true);
  const told = () => router.of('batch').flatMap(({ value }) => value.kvEvents.map(({ eventId }) => eventId));
  await passing(time, 5, () => expect(told()).toContain(5n));
  await client.leave();
});
