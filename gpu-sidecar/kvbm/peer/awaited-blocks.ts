/**
 * Blocks that somebody waits for and that are not in host memory yet. Everyone who waits gets an answer once: a hold of his own when the
 * block has come, null when it cannot come or he gives up.
 *
 * A block that found host memory full (`starved`) is not lost: it is tried again when room comes.
 */

import type { BlockIdentity } from '../block.ts';
import type { BlockHold } from '../block-pool.ts';

type Waiter = (came: boolean) => void;

export class AwaitedBlocks {
  readonly #hold: (hash: bigint) => BlockHold | null;
  readonly #waiters = new Map<bigint, Set<Waiter>>();
  readonly #starved = new Map<bigint, BlockIdentity>();

  /** `hold` holds a block of host memory. */
  constructor(hold: (hash: bigint) => BlockHold | null) {
    this.#hold = hold;
  }

  has(hash: bigint): boolean {
    return this.#waiters.has(hash);
  }

  wait(hash: bigint, signal: AbortSignal): Promise<BlockHold | null> {
    if (signal.aborted) return Promise.resolve(null);
    return new Promise((resolve) => {
      const waiters = this.#waiters.get(hash) ?? new Set();
      const settle = (came: boolean): void => {
        signal.removeEventListener('abort', giveUp);
        waiters.delete(settle);
        if (waiters.size === 0) this.#forget(hash);
        resolve(came ? this.#hold(hash) : null);
      };
      const giveUp = (): void => settle(false);
      signal.addEventListener('abort', giveUp, { once: true });
      waiters.add(settle);
      this.#waiters.set(hash, waiters);
    });
  }

  /** It is in host memory now. */
  came(hash: bigint): void {
    this.#settle(hash, true);
  }

  /** Nobody will bring it. */
  never(hash: bigint): void {
    this.#settle(hash, false);
  }

  /** There was no room for it. */
  starved(identity: BlockIdentity): void {
    if (this.has(identity.hash)) this.#starved.set(identity.hash, identity);
  }

  /** There is room: those to be tried again. */
  takeStarved(): BlockIdentity[] {
    if (this.#starved.size === 0) return [];
    const starved = [...this.#starved.values()];
    this.#starved.clear();
    return starved;
  }

  end(): void {
    for (const hash of [...this.#waiters.keys()]) this.never(hash);
  }

  #settle(hash: bigint, came: boolean): void {
    for (const waiter of [...(this.#waiters.get(hash) ?? [])]) waiter(came);
  }

  #forget(hash: bigint): void {
    this.#waiters.delete(hash);
    this.#starved.delete(hash);
  }
}
