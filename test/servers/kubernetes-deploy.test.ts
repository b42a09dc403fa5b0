/**
 * deploy/kubernetes against a real API server: every manifest is one, strictly; and with the rights and arguments that they give the
 * platform, its planner brings up the workers, reads which are ready, and survives that its token is replaced. There is no kubelet, so
 * the test is: it runs the platform's process, and says when a worker's Pod is ready.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildBundle } from '../../cli/launch/bundle.ts';
import { freePort } from '../../cli/launch/ports.ts';
import { PROJECT_ROOT, STATE_DIR } from '../../cli/paths.ts';
import { eventually } from '../harness/deployment.ts';
import { Launcher } from '../harness/launcher.ts';
import { KubeCluster, type KubeObject, manifest } from './kube-cluster.ts';

const NAMESPACE = 'stator';
const API_KEY = 'sk-stator-deploy';
const FLEET_TOKEN = 'fleet-token-of-the-deployment';
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
const workers: ChildProcess[] = [];
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

const podsOf = (app: string, count: number): Promise<KubeObject[]> =>
  eventually(
    `${count} Pods of ${app}`,
    async () => {
      const pods = await cluster.pods(NAMESPACE, `app=${app}`);
      return pods.length === count ? pods : null;
    },
    60_000,
    () => platform?.stdout.slice(-2_000),
  );

/** What a Pod finds out from its environment and its service account. */
const discoveryIn = ({ metadata: { name, uid } }: KubeObject, folder: string): string =>
  `kubernetes:${cluster.server.url}?account=${folder}&pod=${name}&uid=${uid}`;

/** A Pod of a Deployment, as a scheduler and a kubelet leave it. */
async function runs(pod: KubeObject): Promise<KubeObject> {
  await cluster.schedule(pod);
  await cluster.setReady(pod, true);
  return pod;
}

/** The container of a worker's Pod, with an engine that needs no model. It listens where a Pod has an address of its own. */
function startWorker(pod: KubeObject, account: string): ChildProcess {
  const { command, env } = containerOf('stator-worker');
  expect(command[0]).toBe('node');
  const names = (env as { name: string }[]).map(({ name }) => name);
  const given: Record<string, string> = {
    STATOR_SIDECAR_HOST: '127.0.0.1',
    STATOR_SIDECAR_PORT: '0',
    STATOR_SIDECAR_GRPC_PORT: '0',
    STATOR_DISCOVERY: discoveryIn(pod, account),
    STATOR_FLEET_TOKEN: FLEET_TOKEN,
  };
  expect(names.sort()).toEqual([...Object.keys(given), 'POD_NAME', 'POD_UID'].sort());
  return spawn(process.execPath, command.slice(1), {
    cwd: PROJECT_ROOT,
    stdio: 'ignore',
    env: { ...process.env, ...given, STATOR_ENGINE: 'mock', STATOR_MODEL_NAME: 'deployed' },
  });
}

beforeAll(async () => {
  cluster = await KubeCluster.start();
  await cluster.namespace(NAMESPACE);
}, 900_000);
afterAll(async () => {
  for (const worker of workers) worker.kill('SIGKILL');
  await platform?.end();
  await cluster?.stop();
  rmSync(home, { recursive: true, force: true });
}, 60_000);

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
    // What differs from the Pod: where it listens, keeps things and finds its account, and that two workers are wanted, soon.
    const here = [`--port=${port}`, `--kubernetes-account=${account}`, '--json', '--log-level=warn'];
    const [pod] = await podsOf('stator-platform', 1);
    const found = `--discovery=${discoveryIn(await runs(pod), account)}`;
    const changed = (args as string[])
      .filter((arg) => !/^--(host|discovery-address)=/.test(arg))
      .map((arg) => (arg === '--discovery=kubernetes:' ? found : arg))
      .map((arg) => (arg === '--planner-min=1' ? '--planner-min=2' : arg));
    platform = new Launcher(
      ['up', ...changed, ...here, '--planner-interval-secs=1', '--planner-load-interval-secs=1'],
      {
        STATOR_HOME: home,
        STATOR_API_KEY: API_KEY,
        STATOR_FLEET_TOKEN: FLEET_TOKEN,
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
    const pods = await podsOf('stator-worker', 2);
    expect((await cluster.get(WORKERS)).spec.replicas).toBe(2);
    for (const pod of pods) await runs(pod);
    // Ready by Kubernetes; none has registered, so none is ready for requests.
    const fleet = async (ready: number) =>
      eventually(
        `${ready} workers ready`,
        async () => {
          const { fleet: found, order } = await planner();
          const { ready: are = 0, starting = 0 } = found?.worker ?? {};
          return order?.outcome === 'done' && are === ready && are + starting === 2 ? found.worker : null;
        },
        60_000,
      );
    expect(await fleet(0)).toEqual({ ready: 0, starting: 2, draining: 0 });
    const ofWorkers = await cluster.accountFolder(NAMESPACE, 'stator-worker');
    for (const pod of pods) workers.push(startWorker(pod, ofWorkers));
    expect(await fleet(2)).toEqual({ ready: 2, starting: 0, draining: 0 });
    const answer = await fetch(`${url}/v1/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'deployed', prompt: 'hello', max_tokens: 3 }),
    });
    expect(await answer.json()).toMatchObject({ usage: { completion_tokens: 3 } });
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
