/**
 * Who holds which KV block: active blocks by reference count, finished ones in least-recently-used order, all of them
 * found by sequence hash (semantics §2.2), so that equal prefixes share blocks.
 *
 * Pure bookkeeping over a fixed number of slots; the mock engine uses it as its whole cache, llama to know which cells
 * hold what. Invariants: a stored block's parent is stored too (a path is released from its tail, so eviction takes
 * leaves first); a slot is free, private (being filled), or stored; only stored blocks without references are
 * evicted. Cost: typed arrays and an open-addressing table, a few tens of nanoseconds a block and no garbage.
 *
 * Hashes are pairs of u32 words (low, high): a Uint32Array over packed little-endian u64.
 */

/** What happens to stored blocks, in order. Ranges are block numbers within the arrays of `BlockPath`. */
export interface BlockObserver {
  /** Blocks `from` to `to` (exclusive) of the path are new; the parent is block `from - 1`, or none at 0. */
  stored(path: BlockPath, from: number, to: number): void;
  removed(low: number, high: number, slot: number): void;
}

/** The blocks of one sequence: slot, sequence hash and local hash of block i. */
export interface BlockPath {
  slots: Int32Array;
  sequenceHashes: Uint32Array;
  localHashes: Uint32Array;
}

/** Leading blocks found, and how many of those nobody holds at the moment. */
export interface BlockMatch {
  blocks: number;
  inactive: number;
}

const NONE = -1;

export class BlockCache {
  readonly capacityBlocks: number;
  /** Blocks that some sequence holds, private ones included. */
  activeBlocks = 0;
  #observer: BlockObserver;
  #low: Uint32Array;
  #high: Uint32Array;
  #references: Uint32Array;
  #stored: Uint8Array;
  /** LRU list of inactive blocks and, through `#next`, the free list. */
  #next: Int32Array;
  #previous: Int32Array;
  #oldest = NONE;
  #newest = NONE;
  #free = 0;
  /** Open addressing, linear probing: slot number or NONE. */
  #table: Int32Array;
  #mask: number;

  constructor(options: { capacityBlocks: number; observer: BlockObserver }) {
    const n = options.capacityBlocks;
    this.capacityBlocks = n;
    this.#observer = options.observer;
    this.#low = new Uint32Array(n);
    this.#high = new Uint32Array(n);
    this.#references = new Uint32Array(n);
    this.#stored = new Uint8Array(n);
    this.#next = Int32Array.from({ length: n }, (_, slot) => (slot + 1 < n ? slot + 1 : NONE));
    this.#previous = new Int32Array(n).fill(NONE);
    const size = 2 ** Math.ceil(Math.log2(Math.max(2 * n, 8)));
    this.#table = new Int32Array(size).fill(NONE);
    this.#mask = size - 1;
  }

  /** Blocks that an allocation can have: free ones and evictable ones. */
  get availableBlocks(): number {
    return this.capacityBlocks - this.activeBlocks;
  }

  /** How many leading blocks of a path are stored, at most `limit`. */
  match(sequenceHashes: Uint32Array, limit: number): BlockMatch {
    let blocks = 0;
    let inactive = 0;
    for (; blocks < limit; blocks++) {
      const slot = this.find(sequenceHashes[2 * blocks]!, sequenceHashes[2 * blocks + 1]!);
      if (slot === NONE) break;
      if (this.#references[slot] === 0) inactive++;
    }
    return { blocks, inactive };
  }

  /** Holds the stored blocks 0 to `count` of the path and writes their slots into it; they must be stored. */
  acquire(path: BlockPath, count: number): void {
    for (let i = 0; i < count; i++) {
      const slot = this.find(path.sequenceHashes[2 * i]!, path.sequenceHashes[2 * i + 1]!);
      this.#hold(slot);
      path.slots[i] = slot;
    }
  }

  /** A private block, evicting the least recently used stored one when none is free; -1 when all are held. */
  allocate(): number {
    let slot = this.#free;
    if (slot === NONE) {
      slot = this.#oldest;
      if (slot === NONE) return NONE;
      this.#evict(slot);
    }
    this.#free = this.#next[slot]!;
    this.#references[slot] = 1;
    this.activeBlocks++;
    return slot;
  }

  /**
   * Makes the path's private blocks `from` to `to` (exclusive) findable. A block that another sequence has stored
   * meanwhile is replaced by that one in `path.slots`.
   */
  store(path: BlockPath, from: number, to: number): void {
    let first = from;
    for (let i = from; i < to; i++) {
      if (this.#storeOne(path, i)) continue;
      if (first < i) this.#observer.stored(path, first, i);
      first = i + 1;
    }
    if (first < to) this.#observer.stored(path, first, to);
  }

  /** Lets go of the path's blocks `from` to `count` (exclusive), tail first. */
  release(path: BlockPath, count: number, from = 0): void {
    for (let i = count - 1; i >= from; i--) this.#letGo(path.slots[i]!);
  }

  /** Drops every stored block that nobody holds; returns how many. */
  clear(): number {
    let count = 0;
    while (this.evictOldest()) count++;
    return count;
  }

  /** Drops the least recently used stored block that nobody holds; false when there is none. */
  evictOldest(): boolean {
    if (this.#oldest === NONE) return false;
    this.#evict(this.#oldest);
    return true;
  }

  /** Slot of a stored block, or -1. */
  find(low: number, high: number): number {
    for (let at = low & this.#mask; ; at = (at + 1) & this.#mask) {
      const slot = this.#table[at]!;
      if (slot === NONE || (this.#low[slot] === low && this.#high[slot] === high)) return slot;
    }
  }

  #storeOne(path: BlockPath, i: number): boolean {
    const low = path.sequenceHashes[2 * i]!;
    const high = path.sequenceHashes[2 * i + 1]!;
    const slot = path.slots[i]!;
    const twin = this.find(low, high);
    if (twin !== NONE) {
      if (twin === slot) return false;
      this.#hold(twin);
      this.#letGo(slot);
      path.slots[i] = twin;
      return false;
    }
    this.#low[slot] = low;
    this.#high[slot] = high;
    this.#stored[slot] = 1;
    let at = low & this.#mask;
    while (this.#table[at] !== NONE) at = (at + 1) & this.#mask;
    this.#table[at] = slot;
    return true;
  }

  #hold(slot: number): void {
    if (this.#references[slot]!++ > 0) return;
    this.activeBlocks++;
    this.#unlink(slot);
  }

  #letGo(slot: number): void {
    if (--this.#references[slot]! > 0) return;
    this.activeBlocks--;
    if (this.#stored[slot] === 1) this.#append(slot);
    else this.#giveBack(slot);
  }

  #giveBack(slot: number): void {
    this.#next[slot] = this.#free;
    this.#free = slot;
  }

  #evict(slot: number): void {
    this.#unlink(slot);
    this.#forget(slot);
    this.#stored[slot] = 0;
    this.#observer.removed(this.#low[slot]!, this.#high[slot]!, slot);
    this.#giveBack(slot);
  }

  /** Takes a slot out of the table, moving later entries of its run back so that no tombstones are needed. */
  #forget(slot: number): void {
    const table = this.#table;
    const mask = this.#mask;
    let hole = this.#low[slot]! & mask;
    while (table[hole] !== slot) hole = (hole + 1) & mask;
    for (let at = (hole + 1) & mask; table[at] !== NONE; at = (at + 1) & mask) {
      const home = this.#low[table[at]!]! & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      table[hole] = table[at]!;
      hole = at;
    }
    table[hole] = NONE;
  }

  #append(slot: number): void {
    this.#previous[slot] = this.#newest;
    this.#next[slot] = NONE;
    if (this.#newest === NONE) this.#oldest = slot;
    else this.#next[this.#newest] = slot;
    this.#newest = slot;
  }

  #unlink(slot: number): void {
    const before = this.#previous[slot]!;
    const after = this.#next[slot]!;
    if (before === NONE) this.#oldest = after;
    else this.#next[before] = after;
    if (after === NONE) this.#newest = before;
    else this.#previous[after] = before;
  }
}
