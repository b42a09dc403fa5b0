/**
 * Discovery by a real Kubernetes API server: the contract with processes outside of Pods, which have Leases; Pods, whose readiness
 * counts; and what a client of watches must stand: a forgotten version, an outage, objects removed by others.
 */

import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PROJECT_ROOT } from '../../cli/paths.ts';
import { Logger } from '../../durable/runtime/log.ts';
import { connect } from '../../gpu-sidecar/component/index.ts';
import type { Discovery, DiscoveryOptions } from '../../gpu-sidecar/discovery/discovery.ts';
import { openDiscovery } from '../../gpu-sidecar/discovery/registry.ts';
import { systemTimers } from '../../gpu-sidecar/timers.ts';
import { discoveryContract } from '../contract/discovery.contract.ts';
import { command } from '../harness/component-process.ts';
import { soon } from '../harness/soon.ts';
import { KubeCluster, type KubeObject, manifest, rulesOf } from './kube-cluster.ts';

const LEASE_MS = 2_000;
const KEY = 'v1/instances/default/backend/generate/00000000000000a1';

let cluster: KubeCluster;
let worlds = 0;

beforeAll(async () => {
  cluster = await KubeCluster.start();
  await cluster.define(manifest('workermetadata-crd.yaml')[0]);
}, 900_000);
afterAll(() => cluster?.stop(), 60_000);

/** A namespace with the account of a worker, as deploy/kubernetes has it. */
async function place(): Promise<{ namespace: string; location: string }> {
  const namespace = await cluster.namespace(`discovery-${++worlds}`);
  const account = await cluster.account(namespace, 'stator-worker', rulesOf('stator-discovery'));
  return { namespace, location: `kubernetes:${cluster.server.url}?account=${account}` };
}

discoveryContract({
  name: 'kubernetes',
  leaseMs: LEASE_MS,
  restarts: ['with what it had'],
  start: async () => {
    const { location } = await place();
    return {
      open: (options) => openDiscovery(location, options),
      restart: async () => {
        await cluster.server.halt();
        await cluster.server.start();
      },
      close: async () => {},
    };
  },
});

const lines: string[] = [];
const options = (): DiscoveryOptions => ({
  leaseMs: LEASE_MS,
  fleetToken: '',
  tls: null,
  clock: { nowMs: () => Date.now() },
  timers: systemTimers,
  random: Math.random,
  log: new Logger({ component: 'test', write: (line) => lines.push(line) }),
});

/** What a watcher has been told, as a table. */
async function tableOf(discovery: Discovery): Promise<Map<string, string>> {
  const table = new Map<string, string>();
  const watch = discovery.watch('v1/', (change) => {
    if (change.kind === 'added') table.set(change.key, change.value);
    else table.delete(change.key);
  });
  await watch.synced;
  return table;
}

/** A Service of workers, as deploy/kubernetes has it: its EndpointSlices have its label. */
async function service(namespace: string): Promise<void> {
  const found = manifest('worker.yaml').find(({ kind }) => kind === 'Service');
  await cluster.call('POST', `/api/v1/namespaces/${namespace}/services`, found);
}

const podOf = (namespace: string, name: string): Promise<KubeObject> =>
  cluster.createPod(namespace, name, { app: 'stator-worker' });

const inPod = (location: string, pod: KubeObject): Discovery =>
  openDiscovery(`${location}&pod=${pod.metadata.name}&uid=${pod.metadata.uid}`, options());

describe('in Pods', () => {
  it('what a worker puts counts while its Pod is ready, and goes with it', async () => {
    const { namespace, location } = await place();
    await service(namespace);
    const pod = await podOf(namespace, 'worker-0');
    const [worker, frontend] = [inPod(location, pod), openDiscovery(location, options())];
    const table = await tableOf(frontend);
    await worker.put(KEY, '{"a":1}');
    const path = `/apis/stator.internal/v1/namespaces/${namespace}/workermetadatas`;
    expect((await cluster.get(path)).items).toMatchObject([
      {
        metadata: { name: 'worker-0', ownerReferences: [{ kind: 'Pod', uid: pod.metadata.uid }] },
        spec: { entries: { [KEY]: '{"a":1}' } },
      },
    ]);
    expect(table.size).toBe(0);
    await cluster.setReady(pod, true);
    await soon(() => expect(Object.fromEntries(table)).toEqual({ [KEY]: '{"a":1}' }));
    expect(await frontend.list('v1/')).toHaveLength(1);
    await cluster.setReady(pod, false);
    await soon(() => expect(table.size).toBe(0));
    await cluster.setReady(pod, true);
    await soon(() => expect(table.size).toBe(1));
    // The worker says nothing more: it is killed with its Pod.
    await cluster.deletePod(pod);
    await soon(() => expect(table.size).toBe(0));
    await soon(async () => expect((await cluster.get(path)).items).toEqual([]));
    await frontend.close();
  });

  it('several processes share what is said of their Pod, each with its own keys', async () => {
    const { namespace, location } = await place();
    await service(namespace);
    const pod = await podOf(namespace, 'worker-0');
    await cluster.setReady(pod, true);
    const [first, second] = ['first', 'second'].map((name) => inPod(`${location}&process=${name}`, pod));
    const frontend = openDiscovery(location, options());
    const keys = async () => (await frontend.list('v1/')).map(({ key }) => key);
    const other = KEY.replace(/a1$/, 'a2');
    await Promise.all([first!.put(KEY, '{}'), second!.put(other, '{}')]);
    await soon(async () => expect(await keys()).toEqual([KEY, other]));
    await second!.close();
    expect(await keys()).toEqual([KEY]);
    // The first one again, after a crash: what its last life had put is gone.
    const again = inPod(`${location}&process=first`, pod);
    await again.put(other, '{}');
    expect(await keys()).toEqual([other]);
    await Promise.all([again.close(), frontend.close()]);
  });

  it('the next Pod of the same name does not speak for the one before', async () => {
    const { namespace, location } = await place();
    await service(namespace);
    const frontend = openDiscovery(location, options());
    const table = await tableOf(frontend);
    const first = await podOf(namespace, 'worker-0');
    await inPod(location, first).put(KEY, '{"life":1}');
    await cluster.setReady(first, true);
    await soon(() => expect(table.get(KEY)).toBe('{"life":1}'));
    await cluster.deletePod(first);
    const second = await podOf(namespace, 'worker-0');
    await cluster.setReady(second, true);
    await soon(() => expect(table.size).toBe(0));
    const worker = inPod(location, second);
    await soon(() => worker.put(KEY, '{"life":2}'));
    await soon(() => expect(table.get(KEY)).toBe('{"life":2}'));
    await worker.close();
    await frontend.close();
  });
});

describe('a process outside of Pods', () => {
  it('puts again what somebody has removed, and leaves nothing behind', async () => {
    const { namespace, location } = await place();
    const [worker, frontend] = [openDiscovery(location, options()), openDiscovery(location, options())];
    await worker.put(KEY, '{}');
    const table = await tableOf(frontend);
    const path = `/apis/stator.internal/v1/namespaces/${namespace}/workermetadatas`;
    await cluster.call('DELETE', path);
    await soon(() => expect(table.size).toBe(0));
    await soon(() => expect(table.size).toBe(1));
    const leases = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
    await cluster.call('DELETE', leases);
    await soon(async () => expect((await cluster.get(leases)).items).toHaveLength(1));
    await soon(async () => expect(await frontend.list('v1/')).toHaveLength(1));
    await worker.close();
    expect((await cluster.get(leases)).items).toEqual([]);
    expect((await cluster.get(path)).items).toEqual([]);
    await frontend.close();
  });

  it('stays, for watchers too, through an outage longer than its lease', async () => {
    const { location } = await place();
    const [worker, frontend] = [openDiscovery(location, options()), openDiscovery(location, options())];
    await worker.put(KEY, '{}');
    const changes: string[] = [];
    const watch = frontend.watch('v1/', ({ kind }) => changes.push(kind));
    await watch.synced;
    const beganMs = Date.now();
    await cluster.server.halt();
    await soon(() => expect(Date.now() - beganMs).toBeGreaterThan(2 * LEASE_MS));
    await expect(frontend.list('v1/')).rejects.toMatchObject({ code: 'worker_unavailable' });
    await cluster.server.start();
    await soon(async () => expect(await frontend.list('v1/')).toHaveLength(1));
    const late = KEY.replace(/a1$/, 'a2');
    await soon(() => worker.put(late, '{}'));
    await soon(() => expect(changes).toEqual(['added', 'added']));
    await worker.close();
    await frontend.close();
  });

  it('is told in its own words that its account may not', async () => {
    const namespace = await cluster.namespace(`discovery-${++worlds}`);
    const account = await cluster.account(namespace, 'nobody', []);
    const nobody = openDiscovery(`kubernetes:${cluster.server.url}?account=${account}`, options());
    await expect(nobody.put(KEY, '{}')).rejects.toThrow(
      /Kubernetes does not allow it: .*nobody" cannot patch/,
    );
    await expect(nobody.list('v1/')).rejects.toThrow(/cannot list resource/);
    await nobody.close();
  });
});

describe('a worker and a client that share nothing but the API server', () => {
  it('find each other, in a Pod and outside, until the one is killed', async () => {
    const { namespace, location } = await place();
    await service(namespace);
    const pod = await podOf(namespace, 'greeter-0');
    const greeter = join(PROJECT_ROOT, 'test', 'e2e', 'components', 'greeter.ts');
    const start = (where: string) =>
      command(['run-component', greeter, '--discovery', where, '--fleet-token', 'shared'], {
        STATOR_LEASE_MS: String(LEASE_MS),
      });
    const outside = start(location);
    const inside = start(`${location}&pod=greeter-0&uid=${pod.metadata.uid}`);
    const [one, other] = (await Promise.all([outside.event('serving'), inside.event('serving')])).map(
      ({ instance }) => instance as string,
    );
    const client = connect({ discovery: location, fleetToken: 'shared' });
    const hello = client.client('dyn://default.greeter.hello');
    await hello.available();
    expect(hello.instances.map(({ instanceId }) => instanceId)).toEqual([one]);
    expect(await hello.roundRobin({ name: 'cluster' })).toMatchObject({ text: 'Hello, cluster!' });
    await cluster.setReady(pod, true);
    await soon(() => expect(hello.instances).toHaveLength(2));
    expect(await hello.direct(other!, { name: 'Pod' })).toMatchObject({ text: 'Hello, Pod!' });
    outside.child.kill('SIGKILL');
    await soon(() => expect(hello.instances.map(({ instanceId }) => instanceId)).toEqual([other]));
    inside.child.kill('SIGKILL');
    await cluster.setReady(pod, false);
    await soon(() => expect(hello.instances).toEqual([]));
    await client.close();
  });
});
