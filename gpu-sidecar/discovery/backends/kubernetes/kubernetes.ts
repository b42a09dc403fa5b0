/**
 * Discovery by Kubernetes: what a process puts lies in a custom resource that belongs to its Pod, and counts while the Pod is ready
 * (own-metadata.ts, presence.ts), as in NVIDIA Dynamo (`DynamoWorkerMetadata` and EndpointSlices). A process outside of Pods has
 * a Lease instead. Watchers of a process share one copy (cluster-copy.ts).
 */

import { KubernetesApi } from '../../../../durable/runtime/kubernetes-api.ts';
import { LIMITS } from '../../../../durable/runtime/limits.ts';
import type {
  Discovery,
  DiscoveryChange,
  DiscoveryEntry,
  DiscoveryKind,
  DiscoveryOptions,
  DiscoveryWatch,
} from '../../discovery.ts';
import { checkEntry } from '../../discovery-keys.ts';
import { KnownEntries } from '../../known-entries.ts';
import { ClusterCopy } from './cluster-copy.ts';
import { type KubernetesLocation, kubernetesLocation } from './location.ts';
import { OwnMetadata } from './own-metadata.ts';

export const kubernetesDiscovery: DiscoveryKind = {
  wants: '[https://HOST:PORT[?account=FOLDER&namespace=NAME]]',
  open: (location, options) => new KubernetesDiscovery(kubernetesLocation(location, process.env), options),
};

interface Watcher {
  tell(entries: readonly DiscoveryEntry[]): void;
}

class KubernetesDiscovery implements Discovery {
  readonly #location: KubernetesLocation;
  readonly #options: DiscoveryOptions;
  readonly #api: KubernetesApi;
  readonly #own: OwnMetadata;
  readonly #watchers = new Set<Watcher>();
  #copy: ClusterCopy | null = null;
  /** Null: the copy is not whole yet. */
  #entries: readonly DiscoveryEntry[] | null = null;
  #isKeeping = false;
  #closed = false;

  constructor(location: KubernetesLocation, options: DiscoveryOptions) {
    const { clock, leaseMs, timers } = options;
    this.#location = location;
    this.#options = options;
    const pause = (ms: number) => new Promise<void>((resolve) => timers.after(ms, resolve));
    this.#api = new KubernetesApi({ ...location.access, pause });
    this.#own = new OwnMetadata(this.#api, location, { leaseMs, nowMs: () => clock.nowMs() });
  }

  async put(key: string, value: string): Promise<void> {
    checkEntry(key, value);
    this.#own.entries.set(key, value);
    this.#keepLater();
    await this.#own.apply();
  }

  async delete(key: string): Promise<void> {
    if (this.#own.entries.delete(key)) await this.#own.apply();
  }

  async list(prefix: string): Promise<DiscoveryEntry[]> {
    const { clock } = this.#options;
    const entries = await ClusterCopy.read(this.#api, this.#location.namespace, () => clock.nowMs());
    return entries.filter(({ key }) => key.startsWith(prefix));
  }

  watch(prefix: string, changed: (change: DiscoveryChange) => void): DiscoveryWatch {
    const known = new KnownEntries((change) => {
      if (this.#watchers.has(watcher)) changed(change);
    });
    const synced = Promise.withResolvers<void>();
    const watcher: Watcher = {
      tell(entries) {
        known.replace(entries.filter(({ key }) => key.startsWith(prefix)));
        synced.resolve();
      },
    };
    this.#watchers.add(watcher);
    this.#copy ??= this.#openCopy();
    const entries = this.#entries;
    if (entries !== null) this.#options.timers.endOfTurn(() => watcher.tell(entries));
    return { synced: synced.promise, close: () => void this.#watchers.delete(watcher) };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#watchers.clear();
    this.#copy?.close();
    const { log } = this.#options;
    if (this.#isKeeping)
      await this.#own
        .close()
        .catch((thrown: Error) => log.warn('what was put stays', { reason: thrown.message }));
  }

  #openCopy(): ClusterCopy {
    const { log } = this.#options;
    return new ClusterCopy(this.#api, {
      namespace: this.#location.namespace,
      options: this.#options,
      changed: (entries) => {
        this.#entries = entries;
        for (const watcher of this.#watchers) watcher.tell(entries);
      },
      away: (problem) => {
        if (problem === null) log.info('the Kubernetes API server answers again');
        else log.warn('discovery stays as it is', { reason: problem });
      },
    });
  }

  /** Renews the Lease, and puts again what somebody has removed. A Pod needs only the latter. */
  #keepLater(): void {
    if (this.#isKeeping) return;
    this.#isKeeping = true;
    const { leaseMs, log, random, timers } = this.#options;
    const everyMs = this.#location.pod === null ? leaseMs / 3 : LIMITS.kubernetesCheckMs;
    let isAway = false;
    const keep = async (): Promise<void> => {
      if (this.#closed) return;
      const problem = await this.#own.apply().then(
        () => null,
        (thrown: Error) => thrown.message,
      );
      if (problem !== null && !isAway) log.warn('discovery cannot keep what was put', { reason: problem });
      isAway = problem !== null;
      const nextMs = isAway ? Math.min(everyMs, LIMITS.kubernetesRelistMs) : everyMs;
      timers.after(nextMs * (0.8 + 0.4 * random()), () => void keep());
    };
    timers.after(everyMs, () => void keep());
  }
}
