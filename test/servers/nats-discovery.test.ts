/**
 * Discovery on a real nats-server with JetStream: the contract of all backends, and worker and platform that share nothing
 * but its URL (and the fleet token), whose events and requests go by it, too.
 */

import { afterAll, describe, expect, it } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { INSTANCES_PREFIX } from '../../durable/runtime/instance.ts';
import { type Connection, connect } from '../../gpu-sidecar/component/index.ts';
import { openDiscovery } from '../../gpu-sidecar/discovery/registry.ts';
import { discoveryContract } from '../contract/discovery.contract.ts';
import { eventually, metric, plan, workersServing } from '../harness/deployment.ts';
import { chat } from '../harness/sse.ts';
import { startWorker, type WorkerProcess } from '../harness/worker-process.ts';
import { NatsServer } from './nats-server.ts';

const TOKEN = 'token-of-this-fleet';
const LEASE_MS = 3_000;

discoveryContract({
  name: 'nats',
  leaseMs: 1_500,
  restarts: ['empty', 'with what it had'],
  start: async () => {
    const server = await NatsServer.start();
    return {
      open: (options) => openDiscovery(`nats:${server.url}`, options),
      restart: async ({ empty }) => {
        await server.kill();
        if (empty) server.forget();
        await server.start();
      },
      close: () => server.end(),
    };
  },
});

describe('a fleet that shares a nats-server and nothing else', () => {
  let nats: NatsServer;
  let platform: Deployment;
  let stator: Connection;
  let workers: WorkerProcess[] = [];
  afterAll(async () => {
    await Promise.all(workers.map((each) => each.kill('SIGKILL').catch(() => {})));
    await stator?.close();
    await platform?.stop(1_000);
    await nats?.end();
  }, 30_000);

  const worker = () =>
    startWorker({
      STATOR_DISCOVERY: `nats:${nats.url}`,
      STATOR_NATS_URL: nats.url,
      STATOR_EVENT_PLANE: 'nats',
      STATOR_REQUEST_PLANE: 'nats',
      STATOR_FLEET_TOKEN: TOKEN,
      STATOR_LEASE_MS: String(LEASE_MS),
    });
  const ask = () =>
    chat(platform.url, {
      model: 'mock',
      messages: [{ role: 'user', content: `hello ${'there and everywhere '.repeat(40)}` }],
      max_tokens: 4,
    });
  const instances = async () =>
    (await stator.discovery.list(`${INSTANCES_PREFIX}default/backend/generate/`)).map(({ key }) =>
      key.slice(key.lastIndexOf('/') + 1),
    );

  it('comes together, whichever comes first, and answers', async () => {
    nats = await NatsServer.start();
    stator = connect({ discovery: `nats:${nats.url}`, fleetToken: TOKEN });
    const early = worker();
    platform = await plan({
      discovery: `nats:${nats.url}`,
      natsUrl: nats.url,
      eventPlane: 'nats',
      requestPlane: 'nats',
      fleetToken: TOKEN,
      leaseMs: LEASE_MS,
      engine: 'mock',
    });
    await platform.startPlatform();
    workers = [early, worker()];
    await workersServing(platform, 2, 60_000);
    expect((await ask()).status).toBe(200);
    await eventually('events by NATS', async () =>
      (await metric(platform, /event_plane_total.*what="applied"/)) > 0 ? true : null,
    );
    await eventually('both in NATS', async () => ((await instances()).length === 2 ? true : null));
    expect((await instances()).sort()).toEqual(workers.map((each) => each.instance()).sort());
  }, 120_000);

  it('loses a killed worker with its lease', async () => {
    const [killed] = workers as [WorkerProcess];
    await killed.kill('SIGKILL');
    await eventually('the lease ended', async () => ((await instances()).length === 1 ? true : null));
    expect((await ask()).status).toBe(200);
  }, 60_000);

  it.each([
    ['with what it had', false],
    ['empty', true],
  ])(
    'is whole again after a restart of the server %s',
    async (_, empty) => {
      await nats.kill();
      if (empty) nats.forget();
      await nats.start();
      await eventually('the worker in NATS again', async () =>
        (await instances().catch(() => [])).length === 1 ? true : null,
      );
      await eventually('an answer', async () => ((await ask()).status === 200 ? true : null));
    },
    60_000,
  );
});
