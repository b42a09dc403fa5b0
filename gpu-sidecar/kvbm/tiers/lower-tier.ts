/**
 * G3 or G4 as the manager sees it: a pool of blocks, the store with their bytes, and its health. Every operation ends in a
 * time; faults are counted, and a block whose bytes are wrong is dropped at once.
 *
 * An operation that took too long may still run: the slot that it writes and the memory it reads or fills stay taken until it
 * has really ended (`settled`), or another block would find its bytes overwritten.
 */

import { LIMITS } from '../../../durable/runtime/limits.ts';
import type { BlockIdentity } from '../block.ts';
import type { BlockPool } from '../block-pool.ts';
import type { KvbmMetrics, LowerTierName } from '../kvbm-metrics.ts';
import type { TierHealth } from './tier-health.ts';
import { type BlockDescription, TierFault, type TierStore, toTierFault } from './tier-store.ts';

export interface LowerTierOptions {
  name: LowerTierName;
  pool: BlockPool;
  store: TierStore;
  health: TierHealth;
  metrics: KvbmMetrics;
  /** Aborted when an operation that begins now has taken too long. */
  deadline: () => AbortSignal;
}

/** What came of an operation now, and when its memory is free again. */
interface Attempt<T> {
  /** null: a fault, or the tier rests. */
  result: Promise<T | null>;
  settled: Promise<unknown>;
}

export class LowerTier {
  readonly name: LowerTierName;
  readonly pool: BlockPool;
  readonly #options: LowerTierOptions;
  /** Operations that have not really ended. */
  readonly #running = new Set<Promise<unknown>>();

  constructor(options: LowerTierOptions) {
    this.name = options.name;
    this.pool = options.pool;
    this.#options = options;
  }

  get degraded(): boolean {
    return this.#options.health.degraded;
  }

  /** Fills `into`; the result is the checksum of it. Until `settled`, `into` may be written. */
  read(hash: bigint, into: Uint8Array): Attempt<bigint> {
    const hold = this.pool.hold(hash);
    if (hold === null) return { result: Promise.resolve(null), settled: Promise.resolve() };
    const attempt = this.#attempt(
      (signal) => this.#options.store.read(hold.slot, hold.described, into, signal),
      (fault) => {
        if (fault.ofBlock && this.pool.drop(hash)) this.erase(hold.slot, hold.described);
      },
    );
    return { ...attempt, settled: attempt.settled.finally(() => hold[Symbol.dispose]()) };
  }

  /** Stores a block; the result is whether it is there now. Until `settled`, `bytes` are read. */
  write(described: BlockDescription, bytes: Uint8Array, priority: number): Attempt<boolean> {
    const partial = this.pool.allocate();
    if (partial === null) {
      this.#options.metrics.skipped(this.name, 'no_room');
      return { result: Promise.resolve(null), settled: Promise.resolve() };
    }
    const { result, settled } = this.#attempt((signal) =>
      this.#options.store.write(partial.slot, described, bytes, signal).then(() => true as const),
    );
    const registered = result.then((done) => {
      if (done) partial.complete(described).register(priority)[Symbol.dispose]();
      return done;
    });
    // After a success this does nothing: the partial block has ended.
    return {
      result: registered,
      settled: settled.finally(() => registered.then(() => partial[Symbol.dispose]())),
    };
  }

  /** How many of these, from the first on, are there by the work of others; they count as this tier's from now on. */
  async lookUp(blocks: readonly BlockIdentity[]): Promise<number> {
    const { store } = this.#options;
    if (store.has === undefined) return 0;
    let found = 0;
    // One first: mostly there is none, and then one question is enough.
    for (let count = 1; found < blocks.length; count = LIMITS.kvbmLookupBlocks) {
      const asked = blocks.slice(found, found + count);
      const answers = await Promise.all(
        asked.map(({ hash }) => this.#attempt((signal) => store.has!(hash, signal)).result),
      );
      const missing = answers.indexOf(false);
      const failed = answers.indexOf(null);
      const there = Math.min(...[missing, failed].map((at) => (at < 0 ? asked.length : at)));
      for (const identity of asked.slice(0, there)) this.#adopt(identity);
      found += there;
      if (there < asked.length) break;
    }
    return found;
  }

  /** Gives a block up. */
  drop(hash: bigint): void {
    const hold = this.pool.hold(hash);
    if (hold === null) return;
    this.pool.drop(hash);
    this.erase(hold.slot, hold.described);
    hold[Symbol.dispose]();
  }

  /** Drops every block that nobody holds; returns how many. */
  clear(): number {
    const before = this.pool.registered();
    const count = this.pool.clear();
    for (const { slot, described } of before) {
      if (!this.pool.has(described.identity.hash)) this.erase(slot, described);
    }
    return count;
  }

  /** In the background; what remains all the same is found out by its checksum, or never asked for. */
  erase(slot: number, described: BlockDescription): void {
    const { store, metrics, deadline } = this.#options;
    const erased = this.#run(() => store.erase(slot, described, deadline()));
    erased.catch((thrown: unknown) => metrics.fault(this.name, toTierFault(thrown).fault));
  }

  /** Whether all that was under way has ended, so that its memory may go; not longer than a deadline. */
  async close(): Promise<boolean> {
    const { deadline, store } = this.#options;
    const signal = deadline();
    while (this.#running.size > 0 && !signal.aborted)
      await Promise.race([...this.#running, timeout(signal)]).catch(ignore);
    const ended = this.#running.size === 0;
    await store.close();
    return ended;
  }

  /** An operation that is counted until it has really ended, however it fails. */
  #run<T>(operation: () => Promise<T>): Promise<T> {
    const running = (async () => operation())();
    const ended = running.then(ignore, ignore).then(() => void this.#running.delete(ended));
    this.#running.add(ended);
    return running;
  }

  #adopt(identity: BlockIdentity): void {
    if (this.pool.has(identity.hash)) return;
    this.pool.allocate()?.complete({ identity, checksum: 0n }).register()[Symbol.dispose]();
  }

  #attempt<T>(
    operation: (signal: AbortSignal) => Promise<T>,
    failed?: (fault: TierFault) => void,
  ): Attempt<T> {
    const { health, metrics, deadline } = this.#options;
    if (!health.begin()) {
      metrics.skipped(this.name, 'degraded');
      return { result: Promise.resolve(null), settled: Promise.resolve() };
    }
    const signal = deadline();
    const running = this.#run(() => operation(signal));
    const result = Promise.race([running, timeout(signal)]).then(
      (value) => {
        health.succeeded();
        return value;
      },
      (thrown: unknown) => {
        const fault = toTierFault(thrown);
        metrics.fault(this.name, fault.fault);
        if (fault.ofBlock) health.succeeded();
        else health.failed();
        failed?.(fault);
        return null;
      },
    );
    return { result, settled: running.then(ignore, ignore) };
  }
}

const ignore = () => {};

function timeout(signal: AbortSignal): Promise<never> {
  const fault = () => new TierFault('timeout', 'the operation took too long', signal.reason);
  return new Promise((_, reject) => {
    if (signal.aborted) reject(fault());
    else signal.addEventListener('abort', () => reject(fault()), { once: true });
  });
}
