/**
 * Discovery by etcd: one lease for a process, all its keys under it, lists with a watch behind them.
 *
 * A lease that ended (this process stood still, etcd was down or restarted empty) is granted anew and everything is put
 * again; until then each failed renewal is tried again soon, a little spread, not at the next third of the lease. A
 * watch that breaks, or whose revision was compacted away, reads the whole list again and tells the difference. When the
 * store's revision has gone back, it is another store, which its writers are still filling: for one lease nothing
 * counts as gone there.
 */

import { StatorError } from '../../../../durable/runtime/errors.ts';
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
import { EtcdGateway, LeaseLost } from './gateway.ts';

export const etcdDiscovery: DiscoveryKind = {
  wants: 'http://HOST:2379[,http://HOST:2379…]',
  open(location, options) {
    const urls = location.split(',').map((url) => url.trim().replace(/\/+$/, ''));
    for (const url of urls) {
      if (/^https?:\/\/./.test(url) && URL.canParse(url)) continue;
      throw new StatorError('invalid_request', `discovery etcd: '${url}' is not an http or https address`);
    }
    return new EtcdDiscovery(new EtcdGateway(urls), options);
  },
};

class EtcdDiscovery implements Discovery {
  readonly #gateway: EtcdGateway;
  readonly #options: DiscoveryOptions;
  readonly #own = new Map<string, string>();
  /** Keys whose value, or whose absence, etcd has not taken yet. */
  readonly #unsaid = new Set<string>();
  readonly #closed = new AbortController();
  #lease: string | null = null;
  #renewing = false;
  #flushed: Promise<void> = Promise.resolve();
  #away = false;

  constructor(gateway: EtcdGateway, options: DiscoveryOptions) {
    this.#gateway = gateway;
    this.#options = options;
  }

  async put(key: string, value: string): Promise<void> {
    checkEntry(key, value);
    this.#own.set(key, value);
    this.#unsaid.add(key);
    await this.#flush();
  }

  async delete(key: string): Promise<void> {
    if (!this.#own.delete(key)) return;
    this.#unsaid.add(key);
    await this.#flush();
  }

  async list(prefix: string): Promise<DiscoveryEntry[]> {
    return (await this.#gateway.range(prefix)).entries;
  }

  watch(prefix: string, changed: (change: DiscoveryChange) => void): DiscoveryWatch {
    const closed = new AbortController();
    const synced = Promise.withResolvers<void>();
    const signal = AbortSignal.any([closed.signal, this.#closed.signal]);
    const known = new KnownEntries((change) => {
      if (!signal.aborted) changed(change);
    });
    void this.#follow(prefix, known, synced.resolve, signal);
    return { synced: synced.promise, close: () => closed.abort() };
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.#flushed.catch(() => {});
    const lease = this.#lease;
    this.#lease = null;
    if (lease !== null) await this.#gateway.revoke(lease).catch((thrown) => this.#note(thrown));
  }

  /** One after the other: a later value never meets an earlier one on the way. */
  #flush(): Promise<void> {
    this.#flushed = this.#flushed.catch(() => {}).then(() => this.#write());
    return this.#flushed;
  }

  async #write(): Promise<void> {
    this.#renewLater(this.#options.leaseMs / 3);
    try {
      await this.#writeUnsaid();
    } catch (thrown) {
      if (!(thrown instanceof LeaseLost)) throw thrown;
      this.#leaseLost();
      await this.#writeUnsaid();
    }
  }

  async #writeUnsaid(): Promise<void> {
    for (const key of [...this.#unsaid]) {
      if (this.#closed.signal.aborted) return;
      const value = this.#own.get(key);
      if (value === undefined) await this.#gateway.delete(key);
      else {
        this.#lease ??= await this.#gateway.grant(Math.ceil(this.#options.leaseMs / 1_000));
        await this.#gateway.put(key, value, this.#lease);
      }
      if (this.#own.get(key) === value) this.#unsaid.delete(key);
    }
  }

  #leaseLost(): void {
    if (this.#lease !== null) this.#options.log.warn('the lease in etcd has ended: all is put again');
    this.#lease = null;
    for (const key of this.#own.keys()) this.#unsaid.add(key);
  }

  #renewLater(delayMs: number): void {
    if (this.#renewing || this.#closed.signal.aborted) return;
    this.#renewing = true;
    this.#options.timers.after(delayMs, () => {
      void this.#renew().then((nextMs) => {
        this.#renewing = false;
        this.#renewLater(nextMs);
      });
    });
  }

  /** Milliseconds until the next renewal. */
  async #renew(): Promise<number> {
    const { leaseMs, random } = this.#options;
    const lease = this.#lease;
    try {
      if (lease !== null) await this.#gateway.keepAlive(lease);
      if (this.#unsaid.size > 0) await this.#flush();
    } catch (thrown) {
      const lost = thrown instanceof LeaseLost && this.#lease === lease;
      if (lost) this.#leaseLost();
      else this.#note(thrown);
      return lost ? 0 : (leaseMs / 10) * (0.5 + random());
    }
    this.#note(null);
    return leaseMs / 3;
  }

  async #follow(prefix: string, known: KnownEntries, synced: () => void, closed: AbortSignal): Promise<void> {
    const { clock, leaseMs, random } = this.#options;
    let lastRevision = 0;
    /** Until then a strange store only adds. */
    let fillsUntilMs = 0;
    while (!closed.aborted) {
      try {
        const { entries, revision } = await this.#gateway.range(prefix);
        if (closed.aborted) return;
        if (revision < lastRevision) fillsUntilMs = clock.nowMs() + leaseMs;
        lastRevision = revision;
        if (clock.nowMs() < fillsUntilMs) {
          for (const { key, value } of entries) known.added(key, value);
          await this.#pause(LIMITS.discoveryPollMs, closed);
          continue;
        }
        known.replace(entries);
        synced();
        this.#note(null);
        for await (const events of this.#gateway.watch(prefix, revision + 1, closed)) {
          for (const event of events) {
            if (event.kind === 'put') known.added(event.key, event.value);
            else known.removed(event.key);
          }
        }
      } catch (thrown) {
        this.#note(thrown);
        await this.#pause(LIMITS.discoveryPollMs * (0.5 + random()), closed);
      }
    }
  }

  #pause(delayMs: number, closed: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      this.#options.timers.after(delayMs, resolve);
      closed.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  /** Says once that etcd is away, and once that it is back. */
  #note(thrown: unknown): void {
    const away = thrown !== null;
    if (away === this.#away || this.#closed.signal.aborted) return;
    this.#away = away;
    if (away) this.#options.log.warn('etcd does not answer', { reason: (thrown as Error).message });
    else this.#options.log.info('etcd answers again');
  }
}
