/** KV events and load over a real nats-server: platform and workers in processes of their own, faults included. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { cachedBlocksOf } from '../harness/cached-blocks.ts';
import {
  deploy,
  eventually,
  idle,
  metric,
  sidecarOf,
  statusOf,
  workersServing,
} from '../harness/deployment.ts';
import { chat } from '../harness/sse.ts';
import { NatsServer } from './nats-server.ts';

/** As many different prompts as it takes for a cache of this size to drop blocks. */
const ROUNDS = 12;

let nats: NatsServer;
let deployment: Deployment;
let asked = 0;

beforeAll(async () => {
  nats = await NatsServer.start();
  deployment = await deploy({
    engine: 'mock',
    modelName: 'mock',
    engineSpeedup: 0,
    workers: 2,
    eventPlane: 'nats',
    natsUrl: nats.url,
  });
}, 120_000);

afterAll(() => nats?.end());

async function ask(deployment: Deployment): Promise<void> {
  const content = `${asked++} ${'a question about nothing '.repeat(20 + (asked % 7) * 30)}`;
  const response = await chat(deployment.url, {
    model: 'mock',
    messages: [{ role: 'user', content }],
    max_tokens: 4,
  });
  expect(response.status).toBe(200);
  await response.text();
}

/** The router's index has of each worker what that worker itself says. */
function indexIsTrue(deployment: Deployment): Promise<unknown> {
  let seen: unknown = null;
  return eventually(
    'the index to be that of the workers',
    async () => {
      const { workers } = await statusOf(deployment);
      const { fleetToken } = deployment.settings;
      const pairs = await Promise.all(
        workers.map(async (worker) => [
          worker.cachedBlocks,
          await cachedBlocksOf(worker.grpcAddress, fleetToken),
        ]),
      );
      seen = pairs;
      return pairs.length === 2 && pairs.every(([index, own]) => index === own && own! > 0) ? true : null;
    },
    30_000,
    () => seen,
  );
}

const applied = (deployment: Deployment) => metric(deployment, /event_plane_total.*what="applied"/);

describe('KV events by NATS', () => {
  it('make the index what the workers have', async () => {
    for (let round = 0; round < ROUNDS; round++) await ask(deployment);
    await idle(deployment);
    await indexIsTrue(deployment);
    expect(await applied(deployment)).toBeGreaterThan(ROUNDS);
    expect(await metric(deployment, /event_plane_total.*what="(lost|invalid|unknown_worker)"/)).toBe(0);
  });

  it('come by the fleet socket while the server is away, and by NATS when it is back', async () => {
    await nats.kill();
    for (let round = 0; round < ROUNDS; round++) await ask(deployment);
    await indexIsTrue(deployment);
    const before = await applied(deployment);
    await nats.start();
    await eventually('events by NATS again', async () => {
      await ask(deployment);
      return (await applied(deployment)) > before ? true : null;
    });
    await indexIsTrue(deployment);
  });
});

describe('workers and credentials', () => {
  it('that are killed, or forget all they have, leave a true index', async () => {
    const cleared = await fetch(`${deployment.url}/stator/v1/clear_kv_blocks`, { method: 'POST' });
    expect(cleared.status).toBe(200);
    await ask(deployment);
    const [victim] = (await statusOf(deployment)).workers;
    process.kill(sidecarOf(deployment, victim!.instanceId).pid, 'SIGKILL');
    await workersServing(deployment, 2);
    await eventually('both to have something', async () => {
      await ask(deployment);
      const { workers } = await statusOf(deployment);
      return workers.every(({ cachedBlocks }) => cachedBlocks > 0) ? true : null;
    });
    await indexIsTrue(deployment);
  });

  it('that are wrong are told of, and the fleet socket brings everything', async () => {
    const guarded = await NatsServer.start('authorization { user: "stator", password: "right" }');
    const natsUrl = guarded.url.replace('//', '//stator:wrong@');
    const turnedAway = await deploy({
      engine: 'mock',
      modelName: 'mock',
      engineSpeedup: 0,
      workers: 2,
      eventPlane: 'nats',
      natsUrl,
    });
    for (let round = 0; round < 4; round++) await ask(turnedAway);
    await indexIsTrue(turnedAway);
    expect(await metric(turnedAway, /event_plane_total.*what="refused"/)).toBeGreaterThan(0);
    expect(await applied(turnedAway)).toBe(0);
    await guarded.end();
  }, 90_000);
});

describe('KV events kept by JetStream', () => {
  it('bring a router that restarts up to date without asking a worker', async () => {
    const durable = await deploy({
      engine: 'mock',
      modelName: 'mock',
      engineSpeedup: 0,
      workers: 2,
      eventPlane: 'nats',
      natsUrl: nats.url,
      namespace: 'kept',
      durableKvEvents: true,
      snapshotEvents: 10,
    });
    for (let round = 0; round < ROUNDS; round++) await ask(durable);
    await indexIsTrue(durable);
    await eventually('snapshots of both workers', async () =>
      (await metric(durable, /kv_snapshots_total.*what="written"/)) >= 2 ? true : null,
    );
    // Fewer than make another snapshot.
    for (let round = 0; round < 3; round++) await ask(durable);
    await indexIsTrue(durable);
    const boot = (await statusOf(durable)).routerBoot;
    process.kill(durable.platform.pid as number, 'SIGKILL');
    await eventually('another life of the router', async () => {
      const status = await statusOf(durable).catch(() => null);
      return status !== null && status.routerBoot !== boot && status.workers.length === 2 ? true : null;
    });
    await indexIsTrue(durable);
    const figures = {
      restored: await metric(durable, /kv_snapshots_total.*what="restored"/),
      dumps: await metric(durable, /kv_cache_recovery_total.*what="dump"/),
      resends: await metric(durable, /kv_cache_recovery_total.*what="resend"/),
    };
    expect(figures).toMatchObject({ restored: 2, dumps: 0 });
    expect(await metric(durable, /event_plane_total.*what="replayed"/)).toBeGreaterThan(0);
  }, 90_000);
});
