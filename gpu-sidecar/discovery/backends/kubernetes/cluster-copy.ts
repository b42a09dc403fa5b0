/**
 * The copy of a namespace that all watchers of a process share: WorkerMetadata, EndpointSlices and Leases, and the entries that follow
 * from them. A Lease that seems to have run out is looked at anew before it counts as such: a watch may have broken unseen, and an
 * outage of the API server is no outage of the workers.
 */

import type { KubernetesApi } from '../../../../durable/runtime/kubernetes-api.ts';
import { LIMITS } from '../../../../durable/runtime/limits.ts';
import type { DiscoveryEntry, DiscoveryOptions } from '../../discovery.ts';
import {
  type EndpointSlice,
  GROUP,
  LABEL,
  type Lease,
  leaseSchema,
  PLURAL,
  sliceSchema,
  VERSION,
  type WorkerMetadata,
  workerMetadataSchema,
} from './kube-objects.ts';
import { LeaseWatch, presentEntries } from './presence.ts';
import { listAll, type Named, Reflector, type ReflectorParts } from './reflector.ts';

type Options = Pick<DiscoveryOptions, 'clock' | 'random' | 'timers'>;

export class ClusterCopy {
  readonly #api: KubernetesApi;
  readonly #namespace: string;
  readonly #options: Options;
  readonly #changed: (entries: DiscoveryEntry[]) => void;
  readonly #away: (problem: string | null) => void;
  readonly #closed = new AbortController();
  readonly #leaseWatch = new LeaseWatch();
  readonly #metadata: Reflector<WorkerMetadata>;
  readonly #slices: Reflector<EndpointSlice>;
  readonly #leases: Reflector<Lease>;
  #isDue = false;
  #checkAtMs = Number.POSITIVE_INFINITY;
  #wasAway = false;

  constructor(
    api: KubernetesApi,
    parts: {
      namespace: string;
      options: Options;
      changed: (entries: DiscoveryEntry[]) => void;
      away: (problem: string | null) => void;
    },
  ) {
    this.#api = api;
    this.#namespace = parts.namespace;
    this.#options = parts.options;
    this.#changed = parts.changed;
    this.#away = parts.away;
    const collections = collectionsOf(parts.namespace);
    this.#metadata = new Reflector(
      this.#reflectorOf({ ...collections.metadata, schema: workerMetadataSchema }),
    );
    this.#slices = new Reflector(this.#reflectorOf({ ...collections.slices, schema: sliceSchema }));
    this.#leases = new Reflector({
      ...this.#reflectorOf({ ...collections.leases, schema: leaseSchema }),
      changed: () => {
        this.#leaseWatch.see(this.#leases.objects.values(), this.#options.clock.nowMs());
        this.#tellSoon();
      },
    });
    for (const reflector of [this.#metadata, this.#slices, this.#leases])
      void reflector.run(this.#closed.signal);
  }

  /** Read anew, past the copy. Throws StatorError `worker_unavailable`. */
  static async read(api: KubernetesApi, namespace: string, nowMs: () => number): Promise<DiscoveryEntry[]> {
    const { leases, metadata, slices } = collectionsOf(namespace);
    const [found, ready, alive] = await Promise.all([
      listAll({ api, ...metadata, schema: workerMetadataSchema }),
      listAll({ api, ...slices, schema: sliceSchema }),
      listAll({ api, ...leases, schema: leaseSchema }),
    ]);
    const watch = new LeaseWatch();
    watch.see(alive.items, nowMs());
    return presentEntries(
      { metadata: found.items, slices: ready.items, leases: alive.items },
      watch.isExpired,
    );
  }

  close(): void {
    this.#closed.abort();
  }

  #reflectorOf<T extends Named>(
    of: Pick<ReflectorParts<T>, 'labelSelector' | 'path' | 'schema'>,
  ): ReflectorParts<T> {
    const { random, timers } = this.#options;
    return {
      ...of,
      api: this.#api,
      random,
      pause: (ms) => new Promise((resolve) => timers.after(ms, resolve)),
      changed: () => this.#tellSoon(),
      away: (problem) => this.#noteAway(problem),
    };
  }

  #noteAway(problem: string | null): void {
    const isAway = problem !== null;
    if (isAway === this.#wasAway) return;
    this.#wasAway = isAway;
    if (!isAway) this.#leaseWatch.extend(this.#options.clock.nowMs());
    this.#away(problem);
    this.#tellSoon();
  }

  /** Many changes at once are told once. */
  #tellSoon(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    this.#options.timers.endOfTurn(() => {
      this.#isDue = false;
      this.#tell();
    });
  }

  #tell(): void {
    const copies = [this.#metadata, this.#slices, this.#leases];
    if (this.#closed.signal.aborted || copies.some(({ synced }) => !synced)) return;
    const view = {
      metadata: this.#metadata.objects.values(),
      slices: this.#slices.objects.values(),
      leases: this.#leases.objects.values(),
    };
    this.#changed(presentEntries(view, this.#leaseWatch.isExpired));
    this.#checkLater();
  }

  #checkLater(): void {
    const { clock, timers } = this.#options;
    const next = this.#leaseWatch.nextMs();
    if (next === null || next >= this.#checkAtMs) return;
    this.#checkAtMs = next;
    // Not at the edge: the renewal may be on its way.
    const delayMs = Math.max(0, next - clock.nowMs()) + LIMITS.kubernetesPauseMs;
    timers.after(delayMs, () => {
      if (this.#checkAtMs !== next || this.#closed.signal.aborted) return;
      void this.#check();
    });
  }

  async #check(): Promise<void> {
    const { clock } = this.#options;
    try {
      const { leases } = collectionsOf(this.#namespace);
      const { items } = await listAll({ api: this.#api, ...leases, schema: leaseSchema });
      this.#leaseWatch.see(items, clock.nowMs());
      if (!this.#wasAway) this.#leaseWatch.expire(clock.nowMs());
    } catch (thrown) {
      this.#noteAway((thrown as Error).message);
      // Until the reflectors have the server back; then all begin anew.
      this.#leaseWatch.extend(clock.nowMs());
    }
    this.#checkAtMs = Number.POSITIVE_INFINITY;
    this.#tellSoon();
  }
}

const collectionsOf = (namespace: string) => ({
  metadata: { path: `/apis/${GROUP}/${VERSION}/namespaces/${namespace}/${PLURAL}`, labelSelector: '' },
  slices: {
    path: `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`,
    labelSelector: `${LABEL}=true`,
  },
  leases: {
    path: `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`,
    labelSelector: `${LABEL}=true`,
  },
});
