/**
 * deploy/kubernetes against a real API server: every manifest is one, strictly; and with the rights and arguments that they give the
 * platform, its planner brings up the workers, reads which are ready, and survives that its token is replaced. There is no kubelet, so
 * the test is: it runs the platform's process, and says when a worker's Pod is ready.
 */

import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildBundle } from '../../cli/launch/bundle.ts';
import { freePort } from '../../cli/launch/ports.ts';
import { STATE_DIR } from '../../cli/paths.ts';
import { eventually } from '../harness/deployment.ts';
import { Launcher } from '../harness/launcher.ts';
import { KubeCluster, type KubeObject, manifest } from './kube-cluster.ts';

const NAMESPACE = 'stator';
const API_KEY = 'sk-stator-deploy';
const FILES = ['workermetadata-crd.yaml', 'rbac.yaml', 'platform.yaml', 'worker.yaml'];
const PLURALS: Readonly<Record<string, string>> = {
  CustomResourceDefinition: 'customresourcedefinitions',
  Deployment: 'deployments',
  PersistentVolumeClaim: 'persistentvolumeclaims',
  Role: 'roles',
  RoleBinding: 'rolebindings',
  Service: 'services',
  ServiceAccount: 'serviceaccounts',
};
const WORKERS = `/apis/apps/v1/namespaces/${NAMESPACE}/deployments/stator-worker`;

const home = mkdtempSync(join(tmpdir(), 'stator-kube-home-'));
let cluster: KubeCluster;
let account: string;
let platform: Launcher;
let url: string;

const collection = ({ apiVersion, kind }: KubeObject): string => {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const within = kind === 'CustomResourceDefinition' ? '' : `/namespaces/${NAMESPACE}`;
  return `${root}${within}/${PLURALS[kind]}`;
};
const objects = FILES.flatMap(manifest);
const containerOf = (name: string): KubeObject =>
  objects.find(({ kind, metadata }) => kind === 'Deployment' && metadata.name === name)!.spec.template.spec
    .containers[0];

async function planner(): Promise<KubeObject> {
  const headers = { authorization: `Bearer ${API_KEY}` };
  return (await fetch(`${url}/planner/v1/default`, { headers })).json();
}

const workerPods = (count: number): Promise<KubeObject[]> =>
  eventually(
    `${count} Pods of workers`,
    async () => {
      const pods = await cluster.pods(NAMESPACE, 'app=stator-worker');
      return pods.length === count ? pods : null;
    },
    60_000,
    () => platform?.stdout.slice(-2_000),
  );

beforeAll(async () => {
  cluster = await KubeCluster.start();
  await cluster.namespace(NAMESPACE);
}, 900_000);
afterAll(async () => {
  await platform?.end();
  await cluster?.stop();
  rmSync(home, { recursive: true, force: true });
});

describe('the manifests', () => {
  it('are what their kinds have, to the last field', async () => {
    for (const object of objects) {
      const created = await cluster.call(
        'POST',
        `${collection(object)}?dryRun=All&fieldValidation=Strict`,
        object,
      );
      expect(created.metadata.name).toBe(object.metadata.name);
    }
    const wrong = structuredClone(objects.find(({ kind }) => kind === 'Deployment')!);
    wrong.spec.template.spec.containers[0].readynessProbe = {};
    await expect(
      cluster.call('POST', `${collection(wrong)}?dryRun=All&fieldValidation=Strict`, wrong),
    ).rejects.toThrow('readynessProbe');
  });

  it('are all listed by the kustomization', () => {
    expect(manifest('kustomization.yaml')[0].resources).toEqual(FILES);
  });
});

describe('the platform in a cluster', () => {
  beforeAll(async () => {
    await buildBundle();
    symlinkSync(join(STATE_DIR, 'build'), join(home, 'build'));
    for (const object of objects) await cluster.call('POST', collection(object), object);
    account = await cluster.accountFolder(NAMESPACE, 'stator-platform');
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    const { args, command } = containerOf('stator-platform');
    expect(command.slice(1)).toEqual(['cli/main.ts', 'up']);
    const server = new URL(cluster.server.url);
    // What differs from the Pod: where it listens and keeps things, and that two workers are wanted, soon.
    const here = [`--port=${port}`, `--kubernetes-account=${account}`, '--json', '--log-level=warn'];
    const changed = (args as string[])
      .filter((arg) => !arg.startsWith('--host='))
      .map((arg) => (arg === '--planner-min=1' ? '--planner-min=2' : arg));
    platform = new Launcher(
      ['up', ...changed, ...here, '--planner-interval-secs=1', '--planner-load-interval-secs=1'],
      {
        STATOR_HOME: home,
        STATOR_API_KEY: API_KEY,
        STATOR_FLEET_TOKEN: 'fleet-token',
        KUBERNETES_SERVICE_HOST: server.hostname,
        KUBERNETES_SERVICE_PORT: server.port,
      },
    );
    await eventually(
      'the platform being ready',
      async () => platform.events.find(({ event }) => event === 'platform_ready') ?? null,
      60_000,
      () => platform.stdout + platform.stderr,
    );
  }, 300_000);

  it('starts the workers that its planner wants, and knows when their Pods are ready', async () => {
    const pods = await workerPods(2);
    expect((await cluster.get(WORKERS)).spec.replicas).toBe(2);
    for (const pod of pods) await cluster.setReady(pod, true);
    // Ready by Kubernetes; none has registered, so none is ready for requests.
    await eventually('the order done', async () => {
      const { fleet, order } = await planner();
      return order?.outcome === 'done' && fleet?.worker?.starting === 2 ? true : null;
    });
  });

  it('says why when its token is worth nothing, and goes on with the next', async () => {
    writeFileSync(join(account, 'token'), 'worth nothing');
    let said: KubeObject = null;
    await eventually(
      'the planner saying why',
      async () => {
        said = await planner();
        return said.problem?.includes('does not accept our token') ? true : null;
      },
      60_000,
      () => said,
    );
    await cluster.newToken(NAMESPACE, 'stator-platform');
    await eventually('the planner going on', async () => ((await planner()).problem === null ? true : null));
  });

  it('may do nothing else: with its token nobody reads Secrets or scales another Deployment', async () => {
    const authorization = `Bearer ${readFileSync(join(account, 'token'), 'utf8')}`;
    const as = async (method: string, path: string) =>
      (await cluster.fetch(cluster.server.url + path, { method, headers: { authorization } })).status;
    expect(await as('GET', `${WORKERS}/scale`)).toBe(200);
    expect(await as('GET', `/api/v1/namespaces/${NAMESPACE}/secrets`)).toBe(403);
    expect(await as('GET', `${WORKERS.replace('stator-worker', 'stator-platform')}/scale`)).toBe(403);
    expect(await as('DELETE', WORKERS)).toBe(403);
    expect(await as('GET', '/api/v1/namespaces/default/pods')).toBe(403);
  });
});
