/**
 * A cluster for one test file, as its administrator sees it: objects by their paths, service accounts with tokens, and what a
 * kubelet would do, which there is none of: Pods become ready when the test says so.
 */

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { PROJECT_ROOT } from '../../cli/paths.ts';
import { type Fetch, tlsFetch } from '../../gpu-sidecar/tls/tls-fetch.ts';
import { eventually } from '../harness/deployment.ts';
import { KubeApiServer } from './kube-api-server.ts';

/** As JSON has it. */
// biome-ignore lint/suspicious/noExplicitAny: objects of many kinds, which tests look into.
export type KubeObject = any;

/** Only Pods of a node get into EndpointSlices. */
const NODE = 'node';

export interface Rule {
  apiGroups: string[];
  resources: string[];
  verbs: string[];
}

/** The objects of a file in deploy/kubernetes. */
export function manifest(name: string): KubeObject[] {
  const text = readFileSync(join(PROJECT_ROOT, 'deploy', 'kubernetes', name), 'utf8');
  return parseAllDocuments(text).map((document) => document.toJS() as KubeObject);
}

/** The rules of a Role there. */
export const rulesOf = (role: string): Rule[] =>
  manifest('rbac.yaml').find(({ kind, metadata }) => kind === 'Role' && metadata.name === role)!.rules;

export class KubeCluster {
  readonly server: KubeApiServer;
  readonly #folder = mkdtempSync(join(tmpdir(), 'stator-kube-accounts-'));
  #pods = 0;

  private constructor(server: KubeApiServer) {
    this.server = server;
  }

  static async start(): Promise<KubeCluster> {
    const cluster = new KubeCluster(await KubeApiServer.start());
    await cluster.call('POST', '/api/v1/nodes', { metadata: { name: NODE } });
    return cluster;
  }

  async stop(): Promise<void> {
    await this.server.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Trusts the cluster's certificate alone. */
  get fetch(): Fetch {
    return tlsFetch({ cert: '', key: '', ca: readFileSync(this.server.caFile, 'utf8') });
  }

  /** As the administrator. Throws what the server says. */
  async call(
    method: string,
    path: string,
    body?: unknown,
    contentType = 'application/json',
  ): Promise<KubeObject> {
    const response = await this.fetch(this.server.url + path, {
      method,
      headers: { authorization: `Bearer ${this.server.adminToken}`, 'content-type': contentType },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer = (await response.json()) as KubeObject;
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${answer.message}`);
    return answer;
  }

  get(path: string): Promise<KubeObject> {
    return this.call('GET', path);
  }

  merge(path: string, body: unknown): Promise<KubeObject> {
    return this.call('PATCH', path, body, 'application/merge-patch+json');
  }

  /** A namespace of its own name. */
  async namespace(name: string): Promise<string> {
    await this.call('POST', '/api/v1/namespaces', { metadata: { name } });
    return name;
  }

  /** A custom resource definition, once its objects can be made. */
  async define(crd: KubeObject): Promise<void> {
    const { group, names, versions } = crd.spec;
    await this.call('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', crd);
    const path = `/apis/${group}/${versions[0].name}/${names.plural}`;
    await eventually(`${names.kind} being served`, () => this.get(path).catch(() => null));
  }

  /** A service account that may do what `rules` say in its namespace: the folder that a Pod would have of it. */
  async account(namespace: string, name: string, rules: Rule[]): Promise<string> {
    const root = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}`;
    await this.call('POST', `/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata: { name } });
    await this.call('POST', `${root}/roles`, { metadata: { name }, rules });
    await this.call('POST', `${root}/rolebindings`, {
      metadata: { name },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
      subjects: [{ kind: 'ServiceAccount', name, namespace }],
    });
    return this.accountFolder(namespace, name);
  }

  /** What a Pod of an account has of it. */
  async accountFolder(namespace: string, name: string): Promise<string> {
    const folder = join(this.#folder, namespace, name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'ca.crt'), readFileSync(this.server.caFile));
    writeFileSync(join(folder, 'namespace'), namespace);
    await this.newToken(namespace, name);
    return folder;
  }

  /** What kubelet does now and then. */
  async newToken(namespace: string, name: string): Promise<void> {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
    const { status } = await this.call('POST', path, { spec: { expirationSeconds: 3600 } });
    writeFileSync(join(this.#folder, namespace, name, 'token'), status.token);
  }

  async pods(namespace: string, selector = ''): Promise<KubeObject[]> {
    const query = new URLSearchParams({ labelSelector: selector });
    return (await this.get(`/api/v1/namespaces/${namespace}/pods?${query}`)).items;
  }

  /** A Pod that nobody's controller has made. */
  createPod(namespace: string, name: string, labels: Record<string, string>): Promise<KubeObject> {
    const spec = { nodeName: NODE, containers: [{ name: 'worker', image: 'none' }] };
    return this.call('POST', `/api/v1/namespaces/${namespace}/pods`, { metadata: { name, labels }, spec });
  }

  /** What the scheduler does. */
  async schedule({ metadata: { name, namespace } }: KubeObject): Promise<void> {
    const binding = { metadata: { name }, target: { apiVersion: 'v1', kind: 'Node', name: NODE } };
    await this.call('POST', `/api/v1/namespaces/${namespace}/pods/${name}/binding`, binding);
  }

  async setReady(pod: KubeObject, isReady: boolean): Promise<void> {
    const { name, namespace } = pod.metadata;
    const podIP = pod.status.podIP ?? `10.1.${(this.#pods >> 8) & 255}.${this.#pods++ & 255}`;
    const conditions = [{ type: 'Ready', status: isReady ? 'True' : 'False' }];
    const status = { phase: 'Running', podIP, podIPs: [{ ip: podIP }], conditions };
    await this.merge(`/api/v1/namespaces/${namespace}/pods/${name}/status`, { status });
  }

  /** Without the grace that a kubelet would have to end. */
  async deletePod({ metadata: { name, namespace } }: KubeObject): Promise<void> {
    await this.call('DELETE', `/api/v1/namespaces/${namespace}/pods/${name}?gracePeriodSeconds=0`);
  }
}
