/**
 * Which llama.cpp sequences hold which cached blocks: prefix reuse over a unified KV cache.
 *
 * A running request owns a sequence id. When it leaves, its stored blocks stay in the cache under that id (it is
 * "retained"); a request that shares the prefix copies it with `seq_cp`, which shares cells. When the block cache
 * evicts a block, the retained sequence whose last block it is loses its tail with `seq_rm`. A retained sequence whose path
 * lies within another's is dropped, so ids are spent on distinct leaves only.
 *
 * Invariants: `source[slot]` is an id that holds the whole path up to a stored slot; at most one retained sequence
 * has a slot as its tip; the block cache evicts leaves first, so an evicted slot is the tip of its source. Pure:
 * operations are queued here and done by the engine between batches, in order.
 */

export type CellOperation =
  | { kind: 'copy'; from: number; to: number; start: number; end: number }
  | { kind: 'remove'; id: number; start: number; end: number };

const NONE = -1;
/** llama.cpp: to the end of the sequence. */
const TO_END = -1;

export class CellMap {
  /** To be done in order before the next batch. */
  readonly operations: CellOperation[] = [];
  #blockSizeTokens: number;
  #freeIds: number[];
  /** Slots of each id's stored blocks, in path order; running and retained ids. */
  #paths: (number[] | undefined)[];
  #source: Int32Array;
  #tip: Int32Array;

  /** The ids are `firstId` and those after it. */
  constructor(options: {
    sequences: number;
    totalBlocks: number;
    blockSizeTokens: number;
    firstId?: number;
  }) {
    const { sequences, firstId = 0 } = options;
    this.#blockSizeTokens = options.blockSizeTokens;
    this.#freeIds = Array.from({ length: sequences }, (_, i) => firstId + sequences - 1 - i);
    this.#paths = new Array(firstId + sequences);
    this.#source = new Int32Array(options.totalBlocks).fill(NONE);
    this.#tip = new Int32Array(options.totalBlocks).fill(NONE);
  }

  get freeIds(): number {
    return this.#freeIds.length;
  }

  /** An id that has all tokens up to the end of a stored block. */
  holderOf(slot: number): number {
    return this.#source[slot]!;
  }

  /** A sequence id that holds the cached blocks `slots`; there must be a free id. */
  enter(slots: Int32Array, count: number): number {
    const id = this.#freeIds.pop()!;
    this.#paths[id] = Array.from(slots.subarray(0, count));
    if (count > 0) this.#copy(this.#source[slots[count - 1]!]!, id, 0, count);
    return id;
  }

  /** Block `index` of a running id is computed and stored in `slot`; `shared` when another had stored it before. */
  stored(id: number, block: { index: number; slot: number; shared: boolean }): void {
    this.#paths[id]!.push(block.slot);
    if (!block.shared) {
      this.#source[block.slot] = id;
      return;
    }
    this.#remove(id, block.index, block.index + 1);
    this.#copy(this.#source[block.slot]!, id, block.index, block.index + 1);
  }

  /** A running id leaves; what it stored stays as a retained sequence. */
  leave(id: number): void {
    const path = this.#paths[id]!;
    this.operations.push({ kind: 'remove', id, start: path.length * this.#blockSizeTokens, end: TO_END });
    this.#settle(id);
    if (this.#paths[id] !== path) return;
    for (const slot of path.slice(0, -1)) {
      const inner = this.#tip[slot]!;
      if (inner !== NONE) this.#absorb(inner, id);
    }
  }

  /** The block cache evicted a slot. */
  evicted(slot: number): void {
    const id = this.#source[slot]!;
    this.#source[slot] = NONE;
    this.#tip[slot] = NONE;
    const path = this.#paths[id]!;
    path.pop();
    this.operations.push({ kind: 'remove', id, start: path.length * this.#blockSizeTokens, end: TO_END });
    this.#settle(id);
  }

  /** Gives a retained id its place: frees it when it is empty or within another's path. */
  #settle(id: number): void {
    const last = this.#paths[id]!.at(-1);
    if (last === undefined) {
      this.#free(id);
      return;
    }
    const holder = this.#source[last]!;
    if (holder !== id) {
      this.#absorb(id, holder);
      return;
    }
    const other = this.#tip[last]!;
    if (other !== NONE && other !== id) this.#absorb(other, id);
    this.#tip[last] = id;
  }

  /** Drops a retained id whose whole path `holder` has too. */
  #absorb(id: number, holder: number): void {
    const path = this.#paths[id]!;
    for (const slot of path) if (this.#source[slot] === id) this.#source[slot] = holder;
    const last = path.at(-1)!;
    if (this.#tip[last] === id) this.#tip[last] = NONE;
    this.#remove(id, 0, path.length);
    this.#free(id);
  }

  #free(id: number): void {
    this.#paths[id] = undefined;
    this.#freeIds.push(id);
  }

  #copy(from: number, to: number, firstBlock: number, endBlock: number): void {
    const size = this.#blockSizeTokens;
    this.operations.push({ kind: 'copy', from, to, start: firstBlock * size, end: endBlock * size });
  }

  #remove(id: number, firstBlock: number, endBlock: number): void {
    const size = this.#blockSizeTokens;
    this.operations.push({ kind: 'remove', id, start: firstBlock * size, end: endBlock * size });
  }
}
