/**
 * What discovery is for a model's worker: where its platform is, when nobody told it, and who it is, told to everybody else in
 * Dynamo's keys.
 *
 * A worker has one platform at a time: it stays with the one it has while that is listed, and takes the next when it is gone or
 * cannot be reached.
 */

import { StatorError } from '../../durable/runtime/errors.ts';
import { PLATFORMS_PREFIX } from '../../durable/runtime/instance.ts';
import type { Logger } from '../../durable/runtime/log.ts';
import type { Register } from '../proto/gen/stator/v1/fleet_pb.js';
import type { Discovery, DiscoveryEntry } from './discovery.ts';
import { workerRecords } from './worker-records.ts';

/** Base URL of the platform, as it is now. Throws `worker_unavailable` while there is none. */
export type PlatformUrl = () => string;

export interface WorkerDiscoveryOptions {
  /** null: the platform that the worker dials tells everybody itself. */
  discovery: Discovery | null;
  /** null: discovery says it. */
  platformUrl: string | null;
  namespace: string;
  log: Logger;
}

export class WorkerDiscovery {
  readonly #options: WorkerDiscoveryOptions;
  readonly #platforms = new Map<string, string>();
  /** Key of the one that is in use. */
  #current: string | null = null;
  #records: DiscoveryEntry[] = [];

  constructor(options: WorkerDiscoveryOptions) {
    this.#options = options;
    if (options.platformUrl !== null) return;
    options.discovery?.watch(PLATFORMS_PREFIX, (change) => {
      const url = change.kind === 'added' ? urlOf(change.value) : null;
      if (url === null) this.#platforms.delete(change.key);
      else this.#platforms.set(change.key, url);
      options.log.info('platforms in discovery', { platforms: [...this.#platforms.values()] });
    });
  }

  readonly platformUrl: PlatformUrl = () => {
    if (this.#options.platformUrl !== null) return this.#options.platformUrl;
    if (this.#current === null || !this.#platforms.has(this.#current)) {
      this.#current = [...this.#platforms.keys()].sort()[0] ?? null;
    }
    const url = this.#platforms.get(this.#current ?? '');
    if (url === undefined) throw new StatorError('worker_unavailable', 'discovery has named no platform yet');
    return url;
  };

  /** It was dialled in vain: the next one's turn. */
  unreachable(): void {
    const keys = [...this.#platforms.keys()].sort();
    if (this.#current === null || keys.length < 2) return;
    this.#current = keys[(keys.indexOf(this.#current) + 1) % keys.length]!;
  }

  /** The worker serves. Once; what is told is kept alive. */
  announce(register: Register): void {
    const { discovery, log, namespace } = this.#options;
    if (discovery === null || this.#records.length > 0) return;
    this.#records = workerRecords(namespace, register);
    for (const { key, value } of this.#records) {
      discovery.put(key, value).catch((error) => log.warn('discovery was not told yet', { key, error }));
    }
  }

  /** It takes no new requests: nobody is to find it. */
  async leave(): Promise<void> {
    const { discovery, log } = this.#options;
    await discovery?.close().catch((error) => log.warn('discovery was not told', { error }));
  }
}

function urlOf(value: string): string | null {
  try {
    const { url } = JSON.parse(value) as { url?: unknown };
    return typeof url === 'string' && /^https?:\/\/./.test(url) && URL.canParse(url)
      ? url.replace(/\/+$/, '')
      : null;
  } catch {
    return null;
  }
}
