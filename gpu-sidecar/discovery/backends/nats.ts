/**
 * Discovery by NATS: a JetStream key-value bucket whose values end after the lease, so each owner puts its own again in time.
 * `nats:nats://[user:password@]host:4222`, several servers with commas between them.
 *
 * What is put goes over a subject before it is in the bucket, so watchers hear it there at once; the bucket is read when a
 * watch begins and when the server was away. Servers do not tell that a value has aged away: a watcher judges that by its own
 * clock, and not while the server is away. The first who makes the bucket decides its lease; all others keep to that.
 */

import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import { type KV, Kvm } from '@nats-io/kv';
import type { Msg, NatsConnection } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import { StatorError } from '../../../durable/runtime/errors.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { NatsLink } from '../../../durable/runtime/nats/nats-link.ts';
import { natsOptions } from '../../../durable/runtime/nats/nats-options.ts';
import { inTime } from '../../nats/in-time.ts';
import type {
  Discovery,
  DiscoveryChange,
  DiscoveryEntry,
  DiscoveryKind,
  DiscoveryOptions,
  DiscoveryWatch,
} from '../discovery.ts';
import { checkEntry, isJson } from '../discovery-keys.ts';
import { KnownEntries } from '../known-entries.ts';

const BUCKET = 'stator-discovery';
const STREAM = `KV_${BUCKET}`;
const PREFIX = `$KV.${BUCKET}.`;
const OPERATION_HEADER = 'KV-Operation';

export const natsDiscovery: DiscoveryKind = {
  wants: 'nats://HOST:PORT',
  open(location, options) {
    const given = natsOptions({ natsUrl: location, natsCreds: '' }, 'stator-discovery');
    return new NatsDiscovery(() => connect(given), options);
  },
};

interface Heard {
  value: string;
  /** On this reader's clock. */
  atMs: number;
}

interface Watch {
  prefix: string;
  known: KnownEntries;
  synced: PromiseWithResolvers<void>;
}

class NatsDiscovery implements Discovery {
  readonly #options: DiscoveryOptions;
  readonly #link: NatsLink;
  readonly #own = new Map<string, string>();
  readonly #table = new Map<string, Heard>();
  readonly #watches = new Set<Watch>();
  #bucket: KV | null = null;
  #manager: JetStreamManager | null = null;
  #leaseMs: number;
  /** What there was is in the table. */
  #synced = false;
  readonly #ready = Promise.withResolvers<void>();
  #closed = false;
  #cancelTick: () => void = () => {};
  #renewedMs = 0;

  constructor(connectTo: () => Promise<NatsConnection>, options: DiscoveryOptions) {
    this.#options = options;
    this.#leaseMs = options.leaseMs;
    this.#link = new NatsLink({
      connect: connectTo,
      opened: (connection) => this.#opened(connection),
      back: () => void this.#sync(),
      note: (what) => {
        if (what === 'disconnected') this.#synced = false;
      },
      after: (delayMs, task) => void options.timers.after(delayMs, task),
      log: options.log,
    });
    this.#link.start();
    this.#tick();
  }

  async put(key: string, value: string): Promise<void> {
    checkEntry(key, value);
    this.#own.set(key, value);
    await this.#asked(`put ${key}`, () => this.#write(key, value));
  }

  async delete(key: string): Promise<void> {
    if (!this.#own.delete(key)) return;
    await this.#asked(`delete ${key}`, async () => this.#known().delete(key));
  }

  async list(prefix: string): Promise<DiscoveryEntry[]> {
    const entries = await this.#asked('list', () => this.#read());
    return entries.filter(({ key }) => key.startsWith(prefix)).sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  watch(prefix: string, changed: (change: DiscoveryChange) => void): DiscoveryWatch {
    const watch: Watch = { prefix, known: new KnownEntries(changed), synced: Promise.withResolvers() };
    this.#watches.add(watch);
    if (this.#synced) this.#tell(watch);
    return { synced: watch.synced.promise, close: () => void this.#watches.delete(watch) };
  }

  async close(): Promise<void> {
    const keys = [...this.#own.keys()];
    this.#watches.clear();
    await Promise.all(keys.map((key) => this.delete(key).catch(() => {})));
    this.#closed = true;
    this.#cancelTick();
    await this.#link.close();
  }

  async #opened(connection: NatsConnection): Promise<void> {
    connection.subscribe(`${PREFIX}>`, {
      callback: (error, message) => {
        if (!error) this.#hear(message);
      },
    });
    await this.#openBucket(connection);
    this.#ready.resolve();
    await this.#sync();
  }

  async #openBucket(connection: NatsConnection): Promise<void> {
    const buckets = new Kvm(connection);
    this.#manager = await jetstreamManager(connection);
    const { leaseMs, log } = this.#options;
    this.#bucket = await buckets
      .create(BUCKET, { ttl: leaseMs, history: 1, maxValueSize: LIMITS.discoveryValueLength * 4 })
      // It is there, with another lease.
      .catch(() => buckets.open(BUCKET));
    const { ttl } = await this.#bucket.status();
    if (ttl > 0 && ttl !== this.#leaseMs)
      log.info('discovery keeps to the lease of its bucket', { leaseMs: ttl });
    if (ttl > 0) this.#leaseMs = ttl;
  }

  #known(): KV {
    if (this.#bucket === null || this.#link.connection === null) throw new Error('NATS is away');
    return this.#bucket;
  }

  async #write(key: string, value: string): Promise<void> {
    try {
      await this.#known().put(key, value);
    } catch (thrown) {
      const { connection } = this.#link;
      if (connection === null) throw thrown;
      // A server that has forgotten everything has no bucket either.
      await this.#openBucket(connection);
      await this.#known().put(key, value);
    }
  }

  /** By questions with one answer each: consumers may wait for what has aged away meanwhile. */
  async #read(): Promise<DiscoveryEntry[]> {
    const bucket = this.#known();
    const { state } = await this.#manager!.streams.info(STREAM, { subjects_filter: '>' });
    const keys = Object.keys(state.subjects ?? {}).map((subject) => subject.slice(PREFIX.length));
    const entries = await Promise.all(
      keys.map(async (key) => {
        const entry = await bucket.get(key);
        const value = entry?.operation === 'PUT' ? this.#text(key, entry.value) : null;
        return value === null ? [] : [{ key, value }];
      }),
    );
    return entries.flat();
  }

  #text(key: string, value: Uint8Array): string | null {
    const text = new TextDecoder().decode(value);
    if (isJson(text)) return text;
    this.#options.log.warn('discovery passes over a value that is no JSON', { key });
    return null;
  }

  /** The table becomes what there is; what was heard meanwhile is newer. */
  async #sync(): Promise<void> {
    const { clock, log, timers } = this.#options;
    const startedMs = clock.nowMs();
    try {
      const read = inTime(
        this.#renew().then(() => this.#read()),
        LIMITS.natsRequestMs,
        'it does not answer',
      );
      const now = new Map((await read).map(({ key, value }) => [key, value]));
      const atMs = clock.nowMs();
      for (const [key, heard] of this.#table) {
        if (!now.has(key) && heard.atMs < startedMs) this.#table.delete(key);
      }
      for (const [key, value] of now) {
        if ((this.#table.get(key)?.atMs ?? 0) < startedMs) this.#table.set(key, { value, atMs });
      }
      this.#synced = true;
      for (const watch of this.#watches) this.#tell(watch);
    } catch (thrown) {
      if (this.#closed) return;
      log.warn('discovery by NATS cannot be read', { error: String(thrown) });
      // A server that has forgotten everything has no bucket either.
      const { connection } = this.#link;
      if (connection !== null) await this.#openBucket(connection).catch(() => {});
      timers.after(LIMITS.natsReconnectMs, () => void (this.#synced || this.#closed || this.#sync()));
    }
  }

  #tell({ known, prefix, synced }: Watch): void {
    const entries = [...this.#table].map(([key, { value }]) => ({ key, value }));
    known.replace(entries.filter(({ key }) => key.startsWith(prefix)));
    synced.resolve();
  }

  #hear({ data, headers, subject }: Msg): void {
    const key = subject.slice(PREFIX.length);
    const isGone = headers?.has(OPERATION_HEADER) ?? false;
    const value = isGone ? null : this.#text(key, data);
    if (value === null) this.#forget(key);
    else {
      this.#table.set(key, { value, atMs: this.#options.clock.nowMs() });
      if (this.#synced) this.#each(key, (known) => known.added(key, value));
    }
  }

  #forget(key: string): void {
    this.#table.delete(key);
    if (this.#synced) this.#each(key, (known) => known.removed(key));
  }

  #each(key: string, tell: (known: KnownEntries) => void): void {
    for (const { known, prefix } of this.#watches) if (key.startsWith(prefix)) tell(known);
  }

  #tick(): void {
    const { clock, timers } = this.#options;
    const nowMs = clock.nowMs();
    if (this.#synced) {
      for (const [key, { atMs }] of this.#table) if (nowMs - atMs > this.#leaseMs) this.#forget(key);
      if (nowMs - this.#renewedMs >= this.#leaseMs / 3) void this.#renew().catch(() => {});
    }
    this.#cancelTick = timers.after(this.#leaseMs / 6, () => this.#tick());
  }

  async #renew(): Promise<void> {
    this.#renewedMs = this.#options.clock.nowMs();
    for (const [key, value] of [...this.#own]) await this.#write(key, value);
  }

  async #asked<T>(what: string, ask: () => Promise<T>): Promise<T> {
    try {
      await inTime(this.#ready.promise, LIMITS.natsConnectMs, 'it does not answer');
      return await inTime(ask(), LIMITS.natsRequestMs, 'it does not answer');
    } catch (cause) {
      const message = `discovery by NATS cannot ${what}: ${cause instanceof Error ? cause.message : String(cause)}`;
      throw new StatorError('worker_unavailable', message, { cause });
    }
  }
}
