/**
 * The planner's connector `kubernetes` against a real API server: its contract on a custom resource with a scale, whose controller
 * the test plays; a Deployment, whose controller is Kubernetes' own; and what it says when it may not, or when nobody is there.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Connector } from '../../durable/planner/connectors/connector.ts';
import { kubernetesConnector } from '../../durable/planner/connectors/kubernetes.ts';
import { Outbox, type OutboxDisk } from '../../durable/planner/connectors/outbox.ts';
import type { Fleet } from '../../durable/planner/fleet.ts';
import type { KeptOrder } from '../../durable/planner/rpc.ts';
import { realHost } from '../../durable/platform/host.ts';
import { resolveSettings } from '../../durable/runtime/config.ts';
import { connectorContract } from '../contract/connector.contract.ts';
import { eventually } from '../harness/deployment.ts';
import { KubeCluster, type KubeObject, type Rule } from './kube-cluster.ts';

const GROUP = 'test.stator.internal';
const ENGINES = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `engines.${GROUP}` },
  spec: {
    group: GROUP,
    scope: 'Namespaced',
    names: { plural: 'engines', singular: 'engine', kind: 'Engine', listKind: 'EngineList' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
        subresources: {
          status: {},
          scale: {
            specReplicasPath: '.spec.replicas',
            statusReplicasPath: '.status.replicas',
            labelSelectorPath: '.status.selector',
          },
        },
      },
    ],
  },
};

/** What deploy/kubernetes gives to the platform, on these two kinds. */
const RULES: Rule[] = [
  { apiGroups: [GROUP], resources: ['engines'], verbs: ['get'] },
  { apiGroups: [GROUP], resources: ['engines/scale'], verbs: ['get', 'update'] },
  { apiGroups: ['apps'], resources: ['deployments'], verbs: ['get'] },
  { apiGroups: ['apps'], resources: ['deployments/scale'], verbs: ['get', 'update'] },
  { apiGroups: [''], resources: ['pods'], verbs: ['list'] },
];

let cluster: KubeCluster;
let worlds = 0;

beforeAll(async () => {
  cluster = await KubeCluster.start();
  await cluster.define(ENGINES);
}, 900_000);
afterAll(() => cluster?.stop(), 60_000);

function memoryDisk(): OutboxDisk {
  let kept: KeptOrder | null = null;
  return { read: () => kept, write: (order) => (kept = structuredClone(order)) };
}

/** As `stator up` writes the two services into workerd's configuration, here by Node. */
const bindings = (account: string) => ({
  KUBERNETES: {
    fetch: (url: string, init: RequestInit) =>
      cluster.fetch(url.replace('http://kubernetes', cluster.server.url), init),
  },
  KUBERNETES_ACCOUNT: {
    fetch: async (url: string) => new Response(readFileSync(join(account, new URL(url).pathname))),
  },
});

function connectorOn(target: string, account: string, disk = memoryDisk()): Connector {
  const settings = { ...resolveSettings([]), kubernetesTarget: target };
  const outbox = new Outbox(disk, realHost);
  return kubernetesConnector({ env: bindings(account), host: realHost, outbox, settings });
}

/** A namespace with an Engine of no replicas, and the controller that it would have. */
async function engineWorld() {
  const namespace = await cluster.namespace(`engines-${++worlds}`);
  const account = await cluster.account(namespace, 'stator-platform', RULES);
  const path = `/apis/${GROUP}/v1/namespaces/${namespace}/engines`;
  await cluster.call('POST', path, {
    apiVersion: `${GROUP}/v1`,
    kind: 'Engine',
    metadata: { name: 'decode' },
    spec: { replicas: 0 },
  });
  const engine = `${path}/decode`;
  const status = (more: object) =>
    cluster.merge(`${engine}/status`, { status: { selector: 'app=decode', ...more } });
  await status({ replicas: 0 });
  let workers = 0;
  return {
    account,
    engine,
    registered: (): Fleet => ({ worker: { ready: workers, starting: 0, draining: 0 } }),
    async execute() {
      const { replicas } = (await cluster.get(engine)).spec;
      const pods = await cluster.pods(namespace);
      for (const pod of pods.slice(replicas)) await cluster.deletePod(pod);
      for (let at = pods.length; at < replicas; at++) {
        const name = `decode-${at}`;
        await cluster.setReady(await cluster.createPod(namespace, name, { app: 'decode' }), true);
      }
      await status({ replicas, conditions: [] });
      workers = replicas;
    },
    async fail(why: string) {
      const { generation } = (await cluster.get(engine)).metadata;
      await status({
        observedGeneration: generation,
        conditions: [{ type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: why }],
      });
    },
  };
}

describe('the contract, on a custom resource', () => {
  connectorContract(async () => {
    const disk = memoryDisk();
    const { account, ...world } = await engineWorld();
    const reopened = () => connectorOn(`${GROUP}/v1/Engine/decode`, account, disk);
    return { ...world, connector: reopened(), reopened };
  });
});

const deploymentOf = (name: string): KubeObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name },
  spec: {
    replicas: 0,
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name } },
      spec: {
        terminationGracePeriodSeconds: 0,
        containers: [{ name: 'worker', image: 'none', resources: { requests: { cpu: '1' } } }],
      },
    },
  },
});

async function deploymentWorld(...names: string[]) {
  const namespace = await cluster.namespace(`deployments-${++worlds}`);
  const account = await cluster.account(namespace, 'stator-platform', RULES);
  const path = `/apis/apps/v1/namespaces/${namespace}/deployments`;
  for (const name of names) await cluster.call('POST', path, deploymentOf(name));
  const podsOf = (name: string, count: number) =>
    eventually(`${count} Pods of ${name}`, async () => {
      const pods = await cluster.pods(namespace, `app=${name}`);
      return pods.length === count ? pods : null;
    });
  return { namespace, account, path, podsOf };
}

const workers = (ready: number): Fleet => ({ worker: { ready, starting: 0, draining: 0 } });
const failure = async (connector: Connector): Promise<string> => {
  const progress = await connector.progress();
  return progress.kind === 'failed' ? progress.why : progress.kind;
};

describe('a Deployment', () => {
  it('is scaled; its workers are ready when their Pods are and the router knows them', async () => {
    const { account, podsOf } = await deploymentWorld('engine');
    const connector = connectorOn('apps/v1/Deployment/engine', account);
    await connector.order({ id: 1, counts: { worker: 2 } });
    const pods = await podsOf('engine', 2);
    expect((await connector.fleet(workers(0))).worker).toEqual({ ready: 0, starting: 2, draining: 0 });
    await cluster.setReady(pods[0], true);
    expect((await connector.fleet(workers(1))).worker).toEqual({ ready: 1, starting: 1, draining: 0 });
    expect(await connector.progress()).toEqual({ kind: 'pending' });
    await cluster.setReady(pods[1], true);
    expect((await connector.fleet(workers(1))).worker).toEqual({ ready: 1, starting: 1, draining: 0 });
    expect(await connector.progress()).toEqual({ kind: 'done' });
    await connector.order({ id: 2, counts: { worker: 0 } });
    await podsOf('engine', 0);
    expect(await connector.progress()).toEqual({ kind: 'done' });
    expect((await connector.fleet(workers(0))).worker).toEqual({ ready: 0, starting: 0, draining: 0 });
  });

  it('that somebody else scales, too, is a failed order that says so', async () => {
    const { account, path } = await deploymentWorld('engine');
    const connector = connectorOn('apps/v1/Deployment/engine', account);
    await connector.order({ id: 1, counts: { worker: 2 } });
    await cluster.merge(`${path}/engine`, { spec: { replicas: 7 } });
    expect(await failure(connector)).toMatch(/Deployment\/engine has 7 replicas and not 2: somebody else/);
    expect((await connector.fleet(workers(0))).worker).toEqual({ ready: 0, starting: 7, draining: 0 });
  });

  it('that is deleted while its order is under way, too', async () => {
    const { account, namespace, path } = await deploymentWorld('engine');
    const connector = connectorOn('apps/v1/Deployment/engine', account);
    await connector.order({ id: 1, counts: { worker: 1 } });
    await cluster.call('DELETE', `${path}/engine`);
    expect(await failure(connector)).toBe(
      `Kubernetes has no apps/v1/Deployment/engine in namespace ${namespace}: deployments.apps "engine" not found`,
    );
    await expect(connector.fleet(workers(1))).rejects.toThrow('Kubernetes has no apps/v1/Deployment/engine');
  });

  it('that a quota keeps small, too', async () => {
    const { account, namespace } = await deploymentWorld('engine');
    const quotas = `/api/v1/namespaces/${namespace}/resourcequotas`;
    const hard = { pods: '1' };
    await cluster.call('POST', quotas, { metadata: { name: 'small' }, spec: { hard } });
    // Another controller that is not there would write it.
    await cluster.merge(`${quotas}/small/status`, { status: { hard, used: { pods: '0' } } });
    const connector = connectorOn('apps/v1/Deployment/engine', account);
    await connector.order({ id: 1, counts: { worker: 3 } });
    const why = await eventually('the order failing', async () => {
      const said = await failure(connector);
      return said === 'pending' ? null : said;
    });
    expect(why).toMatch(/engine: FailedCreate: .*exceeded quota: small/);
  });

  it('one of two that is missing leaves half of an order applied, and it says which half', async () => {
    const { account, namespace, path } = await deploymentWorld('decode');
    const target = 'prefill=apps/v1/Deployment/prefill,decode=apps/v1/Deployment/decode';
    const connector = connectorOn(target, account);
    await connector.order({ id: 1, counts: { prefill: 1, decode: 2 } });
    expect(await failure(connector)).toBe(
      `Kubernetes has no apps/v1/Deployment/prefill in namespace ${namespace}: deployments.apps "prefill" not found; ` +
        'apps/v1/Deployment/decode is to have 2',
    );
    expect((await cluster.get(`${path}/decode`)).spec.replicas).toBe(2);
  });
});

describe('what Kubernetes refuses', () => {
  it('is told in its words: rights, kinds that are not there, kinds without a scale', async () => {
    const namespace = await cluster.namespace('refused');
    const nobody = await cluster.account(namespace, 'nobody', []);
    const order = { id: 1, counts: { worker: 1 } };
    const saidOf = async (target: string, account: string) => {
      const connector = connectorOn(target, account);
      await connector.order(order);
      return failure(connector);
    };
    expect(await saidOf('apps/v1/Deployment/engine', nobody)).toMatch(
      /^Kubernetes does not allow it: deployments.apps "engine" is forbidden: User "system:serviceaccount:refused:nobody" cannot get resource "deployments\/scale"/,
    );
    const platform = await cluster.account(namespace, 'stator-platform', RULES);
    expect(await saidOf('apps/v1/Deployer/engine', platform)).toContain(
      'Kubernetes has no apps/v1/Deployer/engine',
    );
    expect(await saidOf('v1/ConfigMap/engine', platform)).toContain('ConfigMap has no scale subresource');
  });
});
