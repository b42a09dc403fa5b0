/**
 * Discovery by the platform itself: one socket to its Directory object (`durable/runtime/discovery-frames.ts`), which is lease,
 * puts and watches in one.
 *
 * After a break everything is put again and every list is read anew and told as differences. A platform that has started anew
 * (another `boot`) knows nothing at first: for one lease nothing counts as gone there, while the others dial in again.
 */

import WebSocket from 'ws';
import {
  DISCOVERY_PROTOCOL,
  type DiscoveryAnswer,
  discoveryAnswer,
} from '../../../durable/runtime/discovery-frames.ts';
import { isErrorCode, StatorError } from '../../../durable/runtime/errors.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import type {
  Discovery,
  DiscoveryChange,
  DiscoveryEntry,
  DiscoveryKind,
  DiscoveryOptions,
  DiscoveryWatch,
} from '../discovery.ts';
import { checkEntry } from '../discovery-keys.ts';
import { KnownEntries } from '../known-entries.ts';

/** `LEASE_PATH` of durable/directory/rpc.ts. */
const PATH = '/fleet/v1/discovery/lease';

export const objectDiscovery: DiscoveryKind = {
  wants: 'http://PLATFORM',
  open(location, options) {
    if (!/^https?:\/\/./.test(location) || !URL.canParse(location)) {
      throw new StatorError(
        'invalid_request',
        `discovery object: '${location}' is not an http or https address`,
      );
    }
    return new ObjectDiscovery(location.replace(/\/+$/, ''), options);
  },
};

interface Watch {
  prefix: string;
  known: KnownEntries;
  /** What the platform has, as far as it has told. */
  now: Map<string, string>;
  synced: () => void;
}

interface Asked {
  resolve: () => void;
  reject: (error: Error) => void;
}

class ObjectDiscovery implements Discovery {
  readonly #url: string;
  readonly #options: DiscoveryOptions;
  readonly #own = new Map<string, string>();
  readonly #watches = new Map<number, Watch>();
  readonly #asked = new Map<number, Asked>();
  #socket: WebSocket | null = null;
  /** Welcome has come. */
  #live = false;
  /** Called when it has. */
  #waiting: (() => void)[] = [];
  #boot: number | null = null;
  /** Until then a strange platform only adds. */
  #fillsUntilMs = 0;
  #heardMs = 0;
  #attempt = 0;
  #ids = 1;
  #closed = false;

  constructor(url: string, options: DiscoveryOptions) {
    this.#url = url.replace(/^http/, 'ws') + PATH;
    this.#options = options;
  }

  async put(key: string, value: string): Promise<void> {
    checkEntry(key, value);
    this.#own.set(key, value);
    await this.#ask((id) => ({ put: { key, value }, id }));
  }

  async delete(key: string): Promise<void> {
    // Where the platform is away, what it does not know any more is gone.
    if (this.#own.delete(key) && this.#live) await this.#ask((id) => ({ delete: key, id }));
  }

  async list(prefix: string): Promise<DiscoveryEntry[]> {
    const found = new Map<string, string>();
    const watch = this.watch(prefix, (change) => {
      if (change.kind === 'added') found.set(change.key, change.value);
      else found.delete(change.key);
    });
    try {
      await this.#inTime(watch.synced);
    } finally {
      watch.close();
    }
    const entries = [...found].map(([key, value]) => ({ key, value }));
    return entries.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  watch(prefix: string, changed: (change: DiscoveryChange) => void): DiscoveryWatch {
    const id = this.#ids++;
    const synced = Promise.withResolvers<void>();
    const known = new KnownEntries((change) => {
      if (this.#watches.has(id)) changed(change);
    });
    this.#watches.set(id, { prefix, known, now: new Map(), synced: synced.resolve });
    if (this.#live) this.#send({ watch: prefix, id });
    else this.#dial();
    const close = () => {
      if (this.#watches.delete(id) && this.#live) this.#send({ unwatch: id });
    };
    return { synced: synced.promise, close };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#own.clear();
    this.#watches.clear();
    const socket = this.#socket;
    if (socket === null) return;
    const gone = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    if (this.#live) socket.close(1000);
    else socket.terminate();
    await this.#inTime(gone).catch(() => {});
    socket.terminate();
  }

  /** Sends a request when there is a platform. Rejects with what it said, or `worker_unavailable` when it says nothing in time. */
  async #ask(request: (id: number) => object): Promise<void> {
    if (!this.#live) {
      this.#dial();
      await this.#inTime(new Promise<void>((resolve) => this.#waiting.push(resolve)));
    }
    const id = this.#ids++;
    const done = new Promise<void>((resolve, reject) => this.#asked.set(id, { resolve, reject }));
    this.#send(request(id));
    await this.#inTime(done).finally(() => this.#asked.delete(id));
  }

  async #inTime(done: Promise<void>): Promise<void> {
    const late = Promise.withResolvers<never>();
    const cancel = this.#options.timers.after(LIMITS.discoveryCallMs, () =>
      late.reject(new StatorError('worker_unavailable', `the platform at ${this.#url} does not answer`)),
    );
    await Promise.race([done, late.promise]).finally(cancel);
  }

  #send(request: object): void {
    this.#socket?.send(JSON.stringify(request));
  }

  #dial(): void {
    if (this.#socket !== null || this.#closed) return;
    const { fleetToken, tls } = this.#options;
    const socket = new WebSocket(this.#url, DISCOVERY_PROTOCOL, {
      ...tls,
      headers: { authorization: `Bearer ${fleetToken}` },
      perMessageDeflate: false,
      handshakeTimeout: LIMITS.registerTimeoutMs,
    });
    this.#socket = socket;
    let trouble = 'the socket was closed';
    socket.on('message', (data: Buffer) => {
      if (this.#socket === socket) this.#receive(data);
    });
    socket.on('error', (error) => {
      trouble = error.message || String((error as NodeJS.ErrnoException).code ?? error);
    });
    socket.on('close', () => this.#lost(trouble));
  }

  #lost(reason: string): void {
    this.#socket = null;
    this.#live = false;
    const lost = new StatorError('worker_unavailable', `the platform's discovery is away: ${reason}`);
    for (const { reject } of this.#asked.values()) reject(lost);
    this.#asked.clear();
    if (this.#closed) return;
    const { log, random, timers } = this.#options;
    if (this.#attempt === 1) log.warn("the platform's discovery is away", { reason });
    const fullMs = Math.min(
      LIMITS.reconnectMaxMs,
      LIMITS.reconnectMinMs * 1.5 ** Math.min(this.#attempt++, 64),
    );
    timers.after(fullMs * (1 - random() / 4), () => this.#dial());
  }

  #receive(data: Buffer): void {
    this.#heardMs = this.#options.clock.nowMs();
    let answer: DiscoveryAnswer;
    try {
      answer = discoveryAnswer.parse(JSON.parse(data.toString('utf8')));
    } catch (error) {
      this.#options.log.warn('a frame of discovery cannot be read', { error: String(error) });
      return;
    }
    if ('welcome' in answer) this.#welcomed(answer.welcome);
    else if ('done' in answer) this.#asked.get(answer.done)?.resolve();
    else if ('failed' in answer) this.#asked.get(answer.failed)?.reject(refused(answer));
    else if ('changes' in answer) this.#changed(answer.id, answer.changes);
    else if ('synced' in answer) this.#synced(answer.synced);
  }

  #welcomed({ boot, heartbeatMs }: { boot: number; heartbeatMs: number }): void {
    const { clock, leaseMs, log, timers } = this.#options;
    if (this.#attempt > 1) log.info("the platform's discovery answers again");
    if (this.#boot !== null && this.#boot !== boot) {
      this.#fillsUntilMs = clock.nowMs() + leaseMs;
      timers.after(leaseMs, () => this.#filled());
    }
    this.#boot = boot;
    this.#attempt = 0;
    this.#live = true;
    for (const [key, value] of this.#own) this.#send({ put: { key, value }, id: this.#ids++ });
    for (const [id, watch] of this.#watches) {
      watch.now.clear();
      this.#send({ watch: watch.prefix, id });
    }
    this.#beat(this.#socket!, heartbeatMs);
    for (const go of this.#waiting.splice(0)) go();
  }

  #changed(id: number, changes: readonly DiscoveryChange[]): void {
    const watch = this.#watches.get(id);
    if (watch === undefined) return;
    for (const change of changes) {
      if (change.kind === 'added') watch.now.set(change.key, change.value);
      else watch.now.delete(change.key);
      if (change.kind === 'added') watch.known.added(change.key, change.value);
      else if (!this.#fills) watch.known.removed(change.key);
    }
  }

  #synced(id: number): void {
    const watch = this.#watches.get(id);
    if (watch === undefined) return;
    if (!this.#fills) watch.known.replace(entriesOf(watch.now));
    watch.synced();
  }

  get #fills(): boolean {
    return this.#options.clock.nowMs() < this.#fillsUntilMs;
  }

  /** Who has not come back by now is gone. */
  #filled(): void {
    if (!this.#live) return;
    this.#fillsUntilMs = 0;
    for (const watch of this.#watches.values()) watch.known.replace(entriesOf(watch.now));
  }

  /** As long as this socket lives; one whose other end is silent is given up. */
  #beat(socket: WebSocket, heartbeatMs: number): void {
    this.#options.timers.after(heartbeatMs, () => {
      if (this.#socket !== socket) return;
      const silentMs = this.#options.clock.nowMs() - this.#heardMs;
      if (silentMs > LIMITS.silentHeartbeats * Math.max(heartbeatMs, LIMITS.sweepMs)) socket.terminate();
      else this.#send({ beat: true });
      this.#beat(socket, heartbeatMs);
    });
  }
}

function* entriesOf(table: ReadonlyMap<string, string>): Generator<DiscoveryEntry> {
  for (const [key, value] of table) yield { key, value };
}

function refused({ code, message }: { code: string; message: string }): StatorError {
  return new StatorError(isErrorCode(code) ? code : 'internal', message);
}
