/**
 * What this process has put, as one WorkerMetadata, by server-side apply: made if it is not there, whole each time, and nothing is
 * written where nothing changed. In a Pod it has the Pod's name and belongs to it; processes of one Pod share it, each with its own
 * keys. Elsewhere it belongs to a Lease of the same name, which is renewed and is removed in the end.
 */

import { randomUUID } from 'node:crypto';
import { StatorError } from '../../../../durable/runtime/errors.ts';
import { type KubernetesApi, kubernetesProblem } from '../../../../durable/runtime/kubernetes-api.ts';
import { GROUP, LABEL, PLURAL, VERSION } from './kube-objects.ts';
import type { KubernetesLocation } from './location.ts';

interface Owner {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
}

export class OwnMetadata {
  readonly entries = new Map<string, string>();
  readonly #api: KubernetesApi;
  readonly #location: KubernetesLocation;
  readonly #leaseMs: number;
  readonly #nowMs: () => number;
  readonly #name: string;
  readonly #manager: string;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(
    api: KubernetesApi,
    location: KubernetesLocation,
    { leaseMs, nowMs }: { leaseMs: number; nowMs: () => number },
  ) {
    this.#api = api;
    this.#location = location;
    this.#leaseMs = leaseMs;
    this.#nowMs = nowMs;
    this.#name = location.pod?.name ?? `stator-${randomUUID()}`;
    this.#manager = `stator-${location.pod?.process ?? 'process'}`;
  }

  /** Makes it so. One after the other. Throws StatorError. */
  apply(): Promise<void> {
    const applied = this.#turn.then(() => this.#apply());
    this.#turn = applied.catch(() => {});
    return applied;
  }

  /** Takes all back, as far as the server answers. */
  async close(): Promise<void> {
    this.entries.clear();
    await this.apply();
  }

  async #apply(): Promise<void> {
    const path = `${this.#collection(`${GROUP}/${VERSION}`)}/${PLURAL}/${this.#name}`;
    const isShared = this.#location.pod !== null;
    if (this.entries.size === 0 && !isShared) {
      await this.#delete(path);
      await this.#delete(this.#leasePath);
      return;
    }
    const owner = await this.#owner();
    await this.#patch(path, {
      apiVersion: `${GROUP}/${VERSION}`,
      kind: 'WorkerMetadata',
      metadata: { name: this.#name, ownerReferences: [{ ...owner, blockOwnerDeletion: false }] },
      spec: { entries: Object.fromEntries(this.entries) },
    });
  }

  /** The Pod, or the Lease, renewed. */
  async #owner(): Promise<Owner> {
    const { pod } = this.#location;
    if (pod !== null) return { apiVersion: 'v1', kind: 'Pod', name: pod.name, uid: pod.uid };
    const apiVersion = 'coordination.k8s.io/v1';
    const lease = await this.#patch(this.#leasePath, {
      apiVersion,
      kind: 'Lease',
      metadata: { name: this.#name, labels: { [LABEL]: 'true' } },
      spec: {
        holderIdentity: this.#name,
        leaseDurationSeconds: Math.max(1, Math.ceil(this.#leaseMs / 1_000)),
        // Microseconds.
        renewTime: new Date(this.#nowMs()).toISOString().replace('Z', '000Z'),
      },
    });
    const { uid } = (lease as { metadata: { uid: string } }).metadata;
    return { apiVersion, kind: 'Lease', name: this.#name, uid };
  }

  get #leasePath(): string {
    return `${this.#collection('coordination.k8s.io/v1')}/leases/${this.#name}`;
  }

  #collection(group: string): string {
    return `/apis/${group}/namespaces/${this.#location.namespace}`;
  }

  async #patch(path: string, body: unknown): Promise<unknown> {
    const query = new URLSearchParams({ fieldManager: this.#manager, force: 'true' });
    const contentType = 'application/apply-patch+yaml';
    const answer = await this.#api.call({ method: 'PATCH', path: `${path}?${query}`, body, contentType });
    if (answer.kind === 'ok') return answer.body;
    throw failed(kubernetesProblem(path, answer));
  }

  async #delete(path: string): Promise<void> {
    const answer = await this.#api.call({ method: 'DELETE', path });
    const isGone = answer.kind === 'ok' || (answer.kind === 'refused' && answer.status === 404);
    if (!isGone) throw failed(kubernetesProblem(path, answer));
  }
}

const failed = (why: string) => new StatorError('worker_unavailable', `discovery: ${why}`);
