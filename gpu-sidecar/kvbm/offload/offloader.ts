/**
 * Moves blocks down: G1 → G2 when the engine has stored them, G2 → G3 when the filter lets them pass, then G4. Each path has
 * its own queue. What is on a queue is not held: who was evicted when its turn comes is skipped.
 */

import { LIMITS } from '../../../durable/runtime/limits.ts';
import type { BlockIdentity } from '../block.ts';
import type { PartialBlock } from '../block-pool.ts';
import type { KvbmMetrics, SkipReason } from '../kvbm-metrics.ts';
import { blockChecksum } from '../tiers/checksum.ts';
import type { HostTier } from '../tiers/host-tier.ts';
import type { LowerTier } from '../tiers/lower-tier.ts';
import { toTierFault } from '../tiers/tier-store.ts';
import type { FrequencyFilter } from './frequency-filter.ts';
import { TransferQueue } from './transfer-queue.ts';

/** What the manager asks of an engine. */
export interface DevicePort {
  /**
   * Copies each block's bytes into `into`, in this turn or later, and says which were there. The engine keeps a block from being
   * overwritten while it is copied, and writes nothing more once the promise has settled. Urgent ones go before others.
   */
  exportBlocks(
    blocks: readonly { identity: BlockIdentity; into: Uint8Array }[],
    options: { urgent: boolean },
  ): Promise<boolean[]>;
}

export interface OffloaderOptions {
  device: DevicePort;
  /** Whether the engine still has a block. */
  onDevice: (hash: bigint) => boolean;
  /** A block did not come into host memory. */
  missed: (identity: BlockIdentity, reason: SkipReason) => void;
  host: HostTier;
  /** G3, then G4; each is fed by the one before. */
  lower: readonly LowerTier[];
  filter: FrequencyFilter;
  metrics: KvbmMetrics;
  concurrency: number;
  batch: number;
}

interface Job {
  identity: BlockIdentity;
  priority: number;
}

export class Offloader {
  readonly #options: OffloaderOptions;
  readonly #toHost: TransferQueue<Job>;
  /** The same path for blocks that somebody waits for. */
  readonly #awaited: TransferQueue<Job>;
  readonly #toLower: TransferQueue<Job>[];

  constructor(options: OffloaderOptions) {
    this.#options = options;
    const queue = (run: (batch: readonly Job[]) => Promise<void>) =>
      new TransferQueue<Job>({
        run,
        concurrency: options.concurrency,
        batch: options.batch,
        capacity: LIMITS.kvbmQueuedBlocks,
      });
    this.#toHost = queue((batch) => this.#runToHost(batch, { urgent: false }));
    this.#awaited = queue((batch) => this.#runToHost(batch, { urgent: true }));
    this.#toLower = options.lower.map((_, level) => queue((batch) => this.#runToLower(level, batch)));
  }

  /** Blocks that wait for a transfer. */
  get waitingBlocks(): number {
    return this.#queues.reduce((sum, { waiting }) => sum + waiting, 0);
  }

  offer(identity: BlockIdentity, priority: number): void {
    if (!this.#toHost.offer(identity.hash, { identity, priority }, priority))
      this.#options.metrics.skipped('host', 'queue_full');
  }

  /** Before all others: somebody waits for it. */
  offerAwaited(identity: BlockIdentity, priority = 0): void {
    if (!this.#awaited.offer(identity.hash, { identity, priority })) this.#missed(identity, 'queue_full');
  }

  /** Forgets what waits, but for what somebody waits for. */
  clear(): void {
    for (const queue of [this.#toHost, ...this.#toLower]) queue.clear();
  }

  async whenIdle(): Promise<void> {
    for (const queue of this.#queues) await queue.whenIdle();
  }

  get #queues(): TransferQueue<Job>[] {
    return [this.#awaited, this.#toHost, ...this.#toLower];
  }

  #missed(identity: BlockIdentity, reason: SkipReason): void {
    this.#options.metrics.skipped('host', reason);
    this.#options.missed(identity, reason);
  }

  async #runToHost(batch: readonly Job[], options: { urgent: boolean }): Promise<void> {
    const { device, onDevice, host, metrics } = this.#options;
    const moves: { job: Job; partial: PartialBlock; into: Uint8Array; identity: BlockIdentity }[] = [];
    for (const job of batch) {
      const { identity } = job;
      if (host.touch(identity.hash)) {
        metrics.skipped('host', 'there_already');
        this.#offerLower(0, job);
      } else if (!onDevice(identity.hash)) this.#missed(identity, 'evicted');
      else {
        const partial = host.pool.allocate();
        if (partial) moves.push({ job, partial, into: host.bytes(partial), identity });
        else this.#missed(identity, 'no_room');
      }
    }
    if (moves.length === 0) return;
    const exported = await (async () => device.exportBlocks(moves, options))().catch((thrown: unknown) => {
      metrics.fault('host', toTierFault(thrown).fault);
      return [];
    });
    moves.forEach(({ job, partial, into, identity }, i) => {
      if (exported[i]) {
        const checksum = blockChecksum(identity.hash, into);
        partial.complete({ identity, checksum }).register(job.priority)[Symbol.dispose]();
        metrics.offloaded('host', into.length);
        this.#offerLower(0, job);
      } else {
        partial[Symbol.dispose]();
        this.#missed(identity, exported.length === 0 ? 'failed' : 'evicted');
      }
    });
  }

  /** The filter guards the first tier below the host, and so those after it. */
  #offerLower(level: number, job: Job): void {
    const { lower, filter, metrics } = this.#options;
    const tier = lower[level];
    if (tier === undefined) return;
    const { hash } = job.identity;
    if (level === 0 && !filter.passes(hash)) metrics.skipped(tier.name, 'filtered');
    else if (tier.pool.has(hash)) {
      tier.pool.hold(hash)?.[Symbol.dispose]();
      this.#offerLower(level + 1, job);
    } else if (!this.#toLower[level]!.offer(hash, job, job.priority))
      metrics.skipped(tier.name, 'queue_full');
  }

  async #runToLower(level: number, batch: readonly Job[]): Promise<void> {
    await Promise.all(batch.map((job) => this.#moveToLower(level, job)));
  }

  async #moveToLower(level: number, job: Job): Promise<void> {
    const { host, lower, metrics } = this.#options;
    const tier = lower[level]!;
    const hold = host.pool.hold(job.identity.hash);
    if (hold === null) return metrics.skipped(tier.name, 'evicted');
    const bytes = host.bytes(hold);
    const { result, settled } = tier.write(hold.described, bytes, job.priority);
    void settled.then(() => hold[Symbol.dispose]());
    if (await result) metrics.offloaded(tier.name, bytes.length);
    // A tier that fails does not keep blocks from the next one.
    this.#offerLower(level + 1, job);
  }
}
