/**
 * Brings blocks from the lower tiers into host memory. However many want one block, it is read once; each gets a hold of its
 * own. A tier that fails leaves it to the next one; when none has it, everyone gets null and it is computed again.
 */

import { LIMITS } from '../../../durable/runtime/limits.ts';
import type { BlockIdentity } from '../block.ts';
import type { BlockHold } from '../block-pool.ts';
import type { KvbmMetrics } from '../kvbm-metrics.ts';
import { TransferQueue } from '../offload/transfer-queue.ts';
import type { HostTier } from '../tiers/host-tier.ts';
import type { LowerTier } from '../tiers/lower-tier.ts';

type Waiter = (hold: BlockHold | null) => void;

export interface FetcherOptions {
  host: HostTier;
  /** In the order in which they are asked. */
  lower: readonly LowerTier[];
  metrics: KvbmMetrics;
  concurrency: number;
}

export class Fetcher {
  readonly #options: FetcherOptions;
  readonly #queue: TransferQueue<BlockIdentity>;
  readonly #waiters = new Map<bigint, Waiter[]>();

  constructor(options: FetcherOptions) {
    this.#options = options;
    this.#queue = new TransferQueue({
      run: async ([identity]) => this.#finish(identity!, await this.#load(identity!)),
      concurrency: options.concurrency,
      batch: 1,
      capacity: LIMITS.kvbmQueuedBlocks,
    });
  }

  fetch(identity: BlockIdentity): Promise<BlockHold | null> {
    return new Promise((resolve) => {
      const waiting = this.#waiters.get(identity.hash);
      if (waiting) waiting.push(resolve);
      else if (this.#queue.offer(identity.hash, identity)) this.#waiters.set(identity.hash, [resolve]);
      else resolve(null);
    });
  }

  whenIdle(): Promise<void> {
    return this.#queue.whenIdle();
  }

  #finish({ hash }: BlockIdentity, loaded: BlockHold | null): void {
    const waiters = this.#waiters.get(hash)!;
    this.#waiters.delete(hash);
    for (const resolve of waiters) resolve(loaded === null ? null : this.#options.host.pool.hold(hash));
    loaded?.[Symbol.dispose]();
  }

  async #load(identity: BlockIdentity): Promise<BlockHold | null> {
    const { host, lower, metrics } = this.#options;
    // It may have come from the device meanwhile.
    const there = host.pool.hold(identity.hash);
    if (there) return there;
    for (const tier of lower) {
      if (!tier.pool.has(identity.hash)) continue;
      const partial = host.pool.allocate();
      if (partial === null) {
        metrics.skipped('host', 'no_room');
        return null;
      }
      const { result, settled } = tier.read(identity.hash, host.bytes(partial));
      const checksum = await result;
      if (checksum === null) {
        void settled.then(() => partial[Symbol.dispose]());
        continue;
      }
      metrics.onboarded(tier.name, host.bytes(partial).length);
      return partial.complete({ identity, checksum }).register();
    }
    return null;
  }
}
