/**
 * Worker and platform that share nothing but a real etcd (and the fleet token) find each other; a killed worker is gone from it
 * after its lease; etcd may restart, with what it had or empty, and requests do not notice.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { wallClock } from '../../durable/runtime/clock.ts';
import { INSTANCES_PREFIX, PLATFORMS_PREFIX, readInstance } from '../../durable/runtime/instance.ts';
import { Logger } from '../../durable/runtime/log.ts';
import { type Connection, connect } from '../../gpu-sidecar/component/index.ts';
import { openDiscovery } from '../../gpu-sidecar/discovery/registry.ts';
import { systemTimers } from '../../gpu-sidecar/timers.ts';
import { command } from '../harness/component-process.ts';
import { eventually, plan, workersServing } from '../harness/deployment.ts';
import { chat } from '../harness/sse.ts';
import { startWorker, type WorkerProcess } from '../harness/worker-process.ts';
import { EtcdServer } from './etcd-server.ts';

const TOKEN = 'token-of-this-fleet';
const LEASE_MS = 3_000;
const GREETER = 'test/e2e/components/greeter.ts';

let etcd: EtcdServer;
let platform: Deployment;
let stator: Connection;

const setting = () => `etcd:${etcd.url}`;
const worker = () =>
  startWorker({ STATOR_DISCOVERY: setting(), STATOR_FLEET_TOKEN: TOKEN, STATOR_LEASE_MS: String(LEASE_MS) });

const ask = (url: string) =>
  chat(url, { model: 'mock', messages: [{ role: 'user', content: 'hello' }], max_tokens: 4 });

async function instancesOf(endpoint: string): Promise<string[]> {
  const entries = await stator.discovery.list(`${INSTANCES_PREFIX}default/backend/${endpoint}/`);
  return entries.map(({ key, value }) => readInstance(key, value)!.instanceId);
}

async function startPlatform(): Promise<Deployment> {
  const overrides = { discovery: setting(), fleetToken: TOKEN, leaseMs: LEASE_MS, engine: 'mock' as const };
  const started = await plan(overrides);
  await started.startPlatform();
  return started;
}

beforeAll(async () => {
  etcd = await EtcdServer.start();
  stator = connect({ discovery: setting(), fleetToken: TOKEN });
}, 600_000);
afterAll(async () => {
  await stator?.close();
  await etcd?.close();
});

describe('discovery by a real etcd', () => {
  let workers: WorkerProcess[] = [];

  it('brings worker and platform together, whichever comes first', async () => {
    const early = worker();
    await eventually('the worker starting', async () =>
      early.log().includes('named no platform') ? true : null,
    );
    platform = await startPlatform();
    const late = worker();
    workers = [early, late];
    await workersServing(platform, 2, 60_000);
    expect((await ask(platform.url)).status).toBe(200);
    await eventually('both in etcd', async () =>
      (await instancesOf('generate')).length === 2 ? true : null,
    );
    expect((await instancesOf('generate')).sort()).toEqual(workers.map((each) => each.instance()).sort());
  }, 120_000);

  it('has the keys and records that others know', async () => {
    const [platforms, instances, cards] = await Promise.all(
      [PLATFORMS_PREFIX, INSTANCES_PREFIX, 'v1/mdc/default/backend/generate/'].map((prefix) =>
        stator.discovery.list(prefix),
      ),
    );
    expect(platforms!.map(({ value }) => JSON.parse(value))).toEqual([
      { url: platform.control.url, namespace: 'default' },
    ]);
    expect(instances!.map(({ key }) => key)).toContain(
      `v1/instances/default/backend/health/${workers[0]!.instance()}`,
    );
    expect(JSON.parse(cards![0]!.value)).toMatchObject({ kv_cache_block_size: 16, model_input: 'tokens' });
    const health = stator.client('dyn://default.backend.health');
    expect(await health.direct(workers[1]!.instance(), {})).toMatchObject({
      instanceId: workers[1]!.instance(),
    });
  });

  it('serves components that know no platform', async () => {
    const greeter = command(['run-component', GREETER, '--discovery', setting(), '--fleet-token', TOKEN]);
    const { instance } = await greeter.event('serving');
    const hello = stator.client('dyn://default.greeter.hello');
    await hello.available();
    expect(await hello.direct(String(instance), { name: 'etcd' })).toMatchObject({ text: 'Hello, etcd!' });
    expect(await greeter.stop('SIGTERM')).toBe(0);
    await eventually('it gone', async () => (hello.instances.length === 0 ? true : null));
  }, 60_000);

  it('lets a killed worker go with its lease, and one that leaves in order at once', async () => {
    const [killed, left] = workers as [WorkerProcess, WorkerProcess];
    const before = performance.now();
    await killed.kill('SIGKILL');
    expect(await instancesOf('generate')).toHaveLength(2);
    await eventually('the lease ended', async () =>
      (await instancesOf('generate')).length === 1 ? true : null,
    );
    expect(performance.now() - before).toBeLessThan(3 * LEASE_MS);
    await left.kill('SIGTERM');
    expect(await instancesOf('generate')).toEqual([]);
    workers = [worker(), worker()];
    await workersServing(platform, 2, 60_000);
  }, 120_000);

  it.each([
    ['with what it had', false],
    ['empty', true],
  ])(
    'comes back from a restart of etcd %s, while requests go on',
    async (_, empty) => {
      const statuses: number[] = [];
      let restarting = true;
      const load = (async () => {
        while (restarting) statuses.push((await ask(platform.url)).status);
      })();
      await etcd.restart({ empty });
      await eventually('both in etcd again', async () => {
        const found = await instancesOf('generate').catch(() => []);
        return found.length === 2 ? true : null;
      });
      await eventually('the platform, too', async () =>
        (await stator.discovery.list(PLATFORMS_PREFIX)).length === 1 ? true : null,
      );
      restarting = false;
      await load;
      expect(statuses.length).toBeGreaterThan(0);
      expect(statuses.filter((status) => status !== 200)).toEqual([]);
      const fresh = worker();
      await workersServing(platform, 3, 60_000);
      await fresh.kill('SIGTERM');
    },
    120_000,
  );

  it('survives that etcd forgets its history', async () => {
    const seen = new Set<string>();
    const options = {
      leaseMs: LEASE_MS,
      fleetToken: TOKEN,
      tls: null,
      clock: wallClock,
      timers: systemTimers,
    };
    const log = new Logger({ component: 'test', write: () => {} });
    const writer = openDiscovery(setting(), { ...options, random: Math.random, log });
    const watch = stator.discovery.watch('p/', ({ key }) => seen.add(key));
    await watch.synced;
    for (let i = 0; i < 5; i++) {
      await writer.put(`p/${i}`, '{}');
      await etcd.compact();
    }
    await eventually('all', async () => (seen.size === 5 ? true : null));
    watch.close();
    await writer.close();
  }, 60_000);

  it('moves workers to another platform when theirs is gone', async () => {
    const second = await startPlatform();
    await platform.stop(1_000);
    await workersServing(second, 2, 60_000);
    expect((await ask(second.url)).status).toBe(200);
  }, 120_000);
});
