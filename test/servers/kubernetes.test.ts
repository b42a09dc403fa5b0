/**
 * Worker and platform that share nothing but a real Kubernetes API server (and the fleet token) find each other; a worker that is
 * killed is gone with its Lease, or with the readiness of its Pod; the API server may restart, and requests do not notice.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { INSTANCES_PREFIX, PLATFORMS_PREFIX, readInstance } from '../../durable/runtime/instance.ts';
import { type Connection, connect } from '../../gpu-sidecar/component/index.ts';
import { eventually, plan, workersServing } from '../harness/deployment.ts';
import { chat } from '../harness/sse.ts';
import { startWorker, type WorkerProcess } from '../harness/worker-process.ts';
import { KubeCluster, type KubeObject, manifest, rulesOf } from './kube-cluster.ts';

const TOKEN = 'token-of-this-fleet';
const LEASE_MS = 3_000;
const NAMESPACE = 'models';

let cluster: KubeCluster;
let setting: string;
let platform: Deployment;
let stator: Connection;
let pod: KubeObject;
let workers: WorkerProcess[];

const worker = (inPod = '') =>
  startWorker({
    STATOR_DISCOVERY: setting + inPod,
    STATOR_FLEET_TOKEN: TOKEN,
    STATOR_LEASE_MS: String(LEASE_MS),
  });

const ask = (url: string) =>
  chat(url, { model: 'mock', messages: [{ role: 'user', content: 'hello' }], max_tokens: 4 });

async function listed(): Promise<string[]> {
  const entries = await stator.discovery.list(`${INSTANCES_PREFIX}default/backend/generate/`);
  return entries.map(({ key, value }) => readInstance(key, value)!.instanceId).sort();
}

const listedAre = (wanted: WorkerProcess[]) => {
  let seen: string[] = [];
  // The platform may know a worker before that worker's own line has come.
  const sought = () => wanted.map((each) => each.instance()).sort();
  return eventually(
    `${wanted.length} workers in Kubernetes`,
    async () => {
      seen = await listed().catch(() => []);
      return String(seen) === String(sought()) ? true : null;
    },
    60_000,
    () => ({ seen, sought: sought() }),
  );
};

beforeAll(async () => {
  cluster = await KubeCluster.start();
  await cluster.define(manifest('workermetadata-crd.yaml')[0]);
  await cluster.namespace(NAMESPACE);
  const account = await cluster.account(NAMESPACE, 'stator-worker', rulesOf('stator-discovery'));
  setting = `kubernetes:${cluster.server.url}?account=${account}`;
  const found = manifest('worker.yaml').find(({ kind }) => kind === 'Service');
  await cluster.call('POST', `/api/v1/namespaces/${NAMESPACE}/services`, found);
  pod = await cluster.createPod(NAMESPACE, 'stator-worker-0', { app: 'stator-worker' });
  stator = connect({ discovery: setting, fleetToken: TOKEN });
}, 900_000);
afterAll(async () => {
  await stator?.close();
  await cluster?.stop();
}, 60_000);

describe('discovery by a real Kubernetes', () => {
  it('brings worker and platform together, whichever comes first, in a Pod and outside', async () => {
    const early = worker();
    await eventually('the worker starting', async () =>
      early.log().includes('named no platform') ? true : null,
    );
    platform = await plan({ discovery: setting, fleetToken: TOKEN, leaseMs: LEASE_MS, engine: 'mock' });
    await platform.startPlatform();
    const late = worker(`&pod=stator-worker-0&uid=${pod.metadata.uid}`);
    workers = [early, late];
    await workersServing(platform, 2, 60_000);
    expect((await ask(platform.url)).status).toBe(200);
    await listedAre([early]);
    await cluster.setReady(pod, true);
    await listedAre([early, late]);
  }, 120_000);

  it('keeps all of it through a restart of the API server, while requests go on', async () => {
    const statuses: number[] = [];
    let restarting = true;
    const load = (async () => {
      while (restarting) statuses.push((await ask(platform.url)).status);
    })();
    await cluster.server.halt();
    await expect(listed()).rejects.toMatchObject({ code: 'worker_unavailable' });
    await cluster.server.start();
    await listedAre(workers);
    expect(await stator.discovery.list(PLATFORMS_PREFIX)).toHaveLength(1);
    restarting = false;
    await load;
    expect(statuses.length).toBeGreaterThan(0);
    expect(statuses.filter((status) => status !== 200)).toEqual([]);
    const fresh = worker();
    await workersServing(platform, 3, 60_000);
    await listedAre([...workers, fresh]);
    await fresh.kill('SIGTERM');
    await listedAre(workers);
  }, 180_000);

  it('lets a killed worker go with its Lease, and one in a Pod when that is ready no more', async () => {
    const [outside, inside] = workers as [WorkerProcess, WorkerProcess];
    await outside.kill('SIGKILL');
    expect(await listed()).toHaveLength(2);
    await listedAre([inside]);
    await inside.kill('SIGKILL');
    // What kubelet says once its probe has failed.
    await cluster.setReady(pod, false);
    await listedAre([]);
  }, 120_000);
});
