/**
 * The blocks of one tier: which slot is in which state, who holds it, and what is found by sequence hash (semantics §7).
 *
 *   reset → partial (`PartialBlock`: bytes arrive) → complete (`CompleteBlock`: it has a name) → registered (`BlockHold`)
 *
 * Each state but the first is a handle that ends the one before; whoever drops a handle (`using`) gives the slot back. A
 * registered block that nobody holds is *inactive*: found all the same, until the eviction policy gives it up for
 * another. Registering a hash that is there already: `reuse` returns the block that is there, `keep` lets the copy live,
 * unfound, as long as it is held. Pure bookkeeping; the bytes are a tier's.
 */

import type { BlockIdentity } from './block.ts';
import { type EvictionPolicy, NONE } from './eviction/eviction-policy.ts';
import type { BlockDescription } from './tiers/tier-store.ts';

/** Registered blocks come and go. */
export interface PoolObserver {
  stored(block: BlockIdentity): void;
  removed(block: BlockIdentity): void;
}

export interface BlockPoolOptions {
  capacityBlocks: number;
  eviction: EvictionPolicy;
  observer?: PoolObserver;
  duplicates?: 'reuse' | 'keep';
}

/** States of a slot; `unlisted`: named and held, but not found (a kept copy, or dropped while held). */
const STATE = { reset: 0, partial: 1, complete: 2, registered: 3, unlisted: 4 } as const;

/** A handle was used after its end: a bug of the caller. */
function ended(what: string): never {
  throw new Error(`${what} was used after its end`);
}

export class BlockPool {
  readonly capacityBlocks: number;
  readonly #eviction: EvictionPolicy;
  readonly #observer: PoolObserver | undefined;
  readonly #keepDuplicates: boolean;
  readonly #state: Uint8Array;
  readonly #references: Uint32Array;
  readonly #described: (BlockDescription | null)[];
  /** Reset slots, last in first out; those that were adopted meanwhile are passed over. */
  readonly #reset: number[];
  #resetBlocks: number;
  readonly #bySequence = new Map<bigint, number>();
  #inactive = 0;
  /** Registered blocks that made room. */
  evictions = 0;
  /** Called when an allocation can have one block more. */
  onVacated: (() => void) | null = null;

  constructor(options: BlockPoolOptions) {
    const n = options.capacityBlocks;
    this.capacityBlocks = n;
    this.#eviction = options.eviction;
    this.#observer = options.observer;
    this.#keepDuplicates = options.duplicates === 'keep';
    this.#state = new Uint8Array(n);
    this.#references = new Uint32Array(n);
    this.#described = new Array<BlockDescription | null>(n).fill(null);
    this.#reset = Array.from({ length: n }, (_, i) => n - 1 - i);
    this.#resetBlocks = n;
  }

  get registeredBlocks(): number {
    return this.#bySequence.size;
  }

  /** Registered and held by nobody. */
  get inactiveBlocks(): number {
    return this.#inactive;
  }

  /** What an allocation can have. */
  get availableBlocks(): number {
    return this.#resetBlocks + this.#inactive;
  }

  has(hash: bigint): boolean {
    return this.#bySequence.has(hash);
  }

  /** Every registered block. */
  registered(): { slot: number; described: BlockDescription }[] {
    return Array.from(this.#bySequence.values(), (slot) => ({ slot, described: this.#described[slot]! }));
  }

  /** A block to fill, from the reset ones or else in place of an inactive one; null when all are held. */
  allocate(): PartialBlock | null {
    if (this.#resetBlocks === 0 && !this.#evictOne()) return null;
    let slot = this.#reset.pop()!;
    while (this.#state[slot] !== STATE.reset) slot = this.#reset.pop()!;
    this.#resetBlocks--;
    this.#state[slot] = STATE.partial;
    this.#references[slot] = 1;
    return new PartialBlock(this.#handle, slot);
  }

  /** A slot that is known to have this block, as after a restart; null when the slot or the name is taken. */
  adopt(slot: number, described: BlockDescription): BlockHold | null {
    if (this.#state[slot] !== STATE.reset || this.has(described.identity.hash)) return null;
    this.#resetBlocks--;
    this.#references[slot] = 1;
    return this.#register(slot, described, 0);
  }

  /** Holds a registered block: a use of it. */
  hold(hash: bigint): BlockHold | null {
    const slot = this.#bySequence.get(hash);
    if (slot === undefined) return null;
    if (this.#references[slot]!++ === 0) this.#inactive--;
    this.#eviction.hold(slot);
    return new BlockHold(this.#handle, slot, this.#described[slot]!);
  }

  /** Holds the longest beginning of these that is there. */
  match(hashes: Iterable<bigint>): BlockHold[] {
    const holds: BlockHold[] = [];
    for (const hash of hashes) {
      const hold = this.hold(hash);
      if (hold === null) break;
      holds.push(hold);
    }
    return holds;
  }

  /** Makes a block unfindable at once (its bytes are wrong, say); the slot is free when nobody holds it any more. */
  drop(hash: bigint): boolean {
    const slot = this.#bySequence.get(hash);
    if (slot === undefined) return false;
    this.#forget(slot);
    if (this.#references[slot] === 0) {
      this.#inactive--;
      this.#free(slot);
    } else this.#state[slot] = STATE.unlisted;
    return true;
  }

  /** Drops every inactive block; returns how many. */
  clear(): number {
    let count = 0;
    while (this.#evictOne()) count++;
    this.evictions -= count;
    return count;
  }

  readonly #handle: PoolOfHandle = {
    complete: (slot, described) => {
      this.#state[slot] = STATE.complete;
      return new CompleteBlock(this.#handle, slot, described);
    },
    register: (slot, described, priority) => {
      const there = this.hold(described.identity.hash);
      if (there === null) return this.#register(slot, described, priority);
      if (!this.#keepDuplicates) {
        this.#free(slot);
        return there;
      }
      there[Symbol.dispose]();
      this.#state[slot] = STATE.unlisted;
      return new BlockHold(this.#handle, slot, described);
    },
    release: (slot) => this.#release(slot),
  };

  #register(slot: number, described: BlockDescription, priority: number): BlockHold {
    this.#state[slot] = STATE.registered;
    this.#described[slot] = described;
    this.#bySequence.set(described.identity.hash, slot);
    this.#eviction.admit(slot, described.identity, priority);
    this.#observer?.stored(described.identity);
    return new BlockHold(this.#handle, slot, described);
  }

  #release(slot: number): void {
    if (--this.#references[slot]! > 0) return;
    if (this.#state[slot] === STATE.registered) {
      this.#inactive++;
      this.#eviction.release(slot);
      this.onVacated?.();
    } else this.#free(slot);
  }

  #evictOne(): boolean {
    const slot = this.#inactive === 0 ? NONE : this.#eviction.victim();
    if (slot === NONE) return false;
    this.evictions++;
    this.#inactive--;
    this.#forget(slot);
    this.#free(slot);
    return true;
  }

  #forget(slot: number): void {
    const { identity } = this.#described[slot]!;
    this.#bySequence.delete(identity.hash);
    this.#eviction.forget(slot);
    this.#observer?.removed(identity);
  }

  #free(slot: number): void {
    this.#state[slot] = STATE.reset;
    this.#references[slot] = 0;
    this.#described[slot] = null;
    this.#reset.push(slot);
    this.#resetBlocks++;
    this.onVacated?.();
  }
}

/** What handles ask of their pool. */
interface PoolOfHandle {
  complete(slot: number, described: BlockDescription): CompleteBlock;
  register(slot: number, described: BlockDescription, priority: number): BlockHold;
  release(slot: number): void;
}

/** A slot that ends with its handle. */
class Handle implements Disposable {
  readonly slot: number;
  #pool: PoolOfHandle | null;

  constructor(pool: PoolOfHandle, slot: number) {
    this.#pool = pool;
    this.slot = slot;
  }

  /** Gives the slot back; a second time does nothing. */
  [Symbol.dispose](): void {
    this.#pool?.release(this.slot);
    this.#pool = null;
  }

  /** Ends the handle without giving the slot back: the next one has it. */
  protected pass(what: string): PoolOfHandle {
    const pool = this.#pool ?? ended(what);
    this.#pool = null;
    return pool;
  }
}

/** A slot whose bytes arrive. */
export class PartialBlock extends Handle {
  /** The bytes are all there; the handle ends. */
  complete(described: BlockDescription): CompleteBlock {
    return this.pass('a partial block').complete(this.slot, described);
  }
}

/** A slot with its bytes and name, found by nobody yet. */
class CompleteBlock extends Handle {
  readonly described: BlockDescription;

  constructor(pool: PoolOfHandle, slot: number, described: BlockDescription) {
    super(pool, slot);
    this.described = described;
  }

  /** Makes it findable; the handle ends. With `reuse` the hold may be of another slot, that had the block already. */
  register(priority = 0): BlockHold {
    return this.pass('a complete block').register(this.slot, this.described, priority);
  }
}

/** Holds a registered block: it is not evicted and its bytes do not change. */
export class BlockHold extends Handle {
  readonly described: BlockDescription;

  constructor(pool: PoolOfHandle, slot: number, described: BlockDescription) {
    super(pool, slot);
    this.described = described;
  }
}
