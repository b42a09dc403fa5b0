/**
 * A simulated host-memory tier behind one GPU (semantics §10, native host offload): every complete prompt block is copied
 * to it once computed, and copied back instead of computed when a later prompt begins with it.
 *
 * One lane each way, first in first out, at a fixed time per block. A block is `pending` while it is on its way, then
 * resident; the least recently used resident block that no load reads makes room. Touches, stores and loads are the
 * caller's, at times that never go back. Pure. Cost: a map operation a block.
 */

/** A block by its sequence hash. */
export interface HostBlock {
  /** The hash as one number; the 11 bits that it leaves out are the least of the risks of a simulation. */
  readonly key: number;
  readonly low: number;
  readonly high: number;
}

export function hostBlocks(sequenceHashes: Uint32Array, count: number): HostBlock[] {
  return Array.from({ length: count }, (_, i) => {
    const low = sequenceHashes[2 * i]!;
    const high = sequenceHashes[2 * i + 1]!;
    return { key: low + (high & 0x1f_ffff) * 2 ** 32, low, high };
  });
}

interface Entry {
  readonly block: HostBlock;
  resident: boolean;
  /** Loads that read it. */
  readers: number;
}

/** Blocks under way; `dueMs` is infinite until the lane has it. */
export interface HostTransfer {
  readonly blocks: readonly HostBlock[];
  dueMs: number;
  readonly done: () => void;
}

export interface HostTierOptions {
  capacityBlocks: number;
  /** Time of one block in a lane. */
  blockMs: number;
  /** Blocks have made room for others. */
  removed?: (blocks: readonly HostBlock[]) => void;
}

export class HostTier {
  readonly #options: HostTierOptions;
  readonly #entries = new Map<number, Entry>();
  /** Resident blocks that nobody reads, least recently used first. */
  readonly #idle = new Set<number>();
  /** Of the next block, in each direction. */
  #storeFreeMs = 0;
  #loadFreeMs = 0;
  readonly #prepared: HostTransfer[] = [];
  /** Stores, then loads, each in order of `dueMs`. */
  readonly #stores: HostTransfer[] = [];
  readonly #loads: HostTransfer[] = [];

  constructor(options: HostTierOptions) {
    this.#options = options;
  }

  /** When the next transfer ends. */
  get dueMs(): number {
    return Math.min(this.#stores[0]?.dueMs ?? Infinity, this.#loads[0]?.dueMs ?? Infinity);
  }

  get isQuiet(): boolean {
    return this.#stores.length + this.#loads.length + this.#prepared.length === 0;
  }

  has({ key }: HostBlock): boolean {
    return this.#entries.has(key);
  }

  /** Blocks from `from` on that are there without a gap; null when one of them is on its way in either direction. */
  match(blocks: readonly HostBlock[], from: number): number | null {
    let at = from;
    let waits = false;
    for (; at < blocks.length; at++) {
      const entry = this.#entries.get(blocks[at]!.key);
      if (entry === undefined) break;
      waits ||= !entry.resident || entry.readers > 0;
    }
    return waits ? null : at - from;
  }

  /** The blocks of a prompt were looked for: the first counts as used last. */
  touch(blocks: readonly HostBlock[]): void {
    for (let i = blocks.length - 1; i >= 0; i--) {
      const { key } = blocks[i]!;
      if (this.#idle.delete(key)) this.#idle.add(key);
    }
  }

  /** Makes room for those of `blocks` that are not there; null when there is none. They are sent by `sendStores`. */
  store(blocks: readonly HostBlock[], done: () => void): HostTransfer | null {
    const missing = blocks.filter(({ key }) => !this.#entries.has(key));
    if (!this.#makeRoom(missing.length, new Set(blocks.map(({ key }) => key)))) return null;
    for (const block of missing) this.#entries.set(block.key, { block, resident: false, readers: 0 });
    const transfer = { blocks: missing, dueMs: Infinity, done };
    this.#prepared.push(transfer);
    return transfer;
  }

  /** The pass that computed the prepared blocks is over. */
  sendStores(nowMs: number): void {
    for (const transfer of this.#prepared) {
      const startMs = Math.max(this.#storeFreeMs, nowMs);
      this.#storeFreeMs = transfer.dueMs = startMs + transfer.blocks.length * this.#options.blockMs;
      this.#stores.push(transfer);
    }
    this.#prepared.length = 0;
  }

  /** Copies resident blocks back, not before a time. */
  load(blocks: readonly HostBlock[], notBeforeMs: number, done: () => void): void {
    for (const { key } of blocks) {
      this.#entries.get(key)!.readers++;
      this.#idle.delete(key);
    }
    const startMs = Math.max(this.#loadFreeMs, notBeforeMs);
    const dueMs = startMs + blocks.length * this.#options.blockMs;
    this.#loadFreeMs = dueMs;
    this.#loads.push({ blocks, dueMs, done });
  }

  /** Ends what is due, stores before loads; true when there was any. */
  advance(nowMs: number): boolean {
    let any = false;
    while (this.dueMs <= nowMs) {
      const isStore = (this.#stores[0]?.dueMs ?? Infinity) <= (this.#loads[0]?.dueMs ?? Infinity);
      const transfer = (isStore ? this.#stores : this.#loads).shift()!;
      for (const { key } of transfer.blocks) this.#arrived(key, isStore);
      transfer.done();
      any = true;
    }
    return any;
  }

  #arrived(key: number, isStore: boolean): void {
    const entry = this.#entries.get(key)!;
    if (isStore) entry.resident = true;
    else entry.readers--;
    if (entry.readers === 0) this.#idle.add(key);
  }

  #makeRoom(blocks: number, keep: ReadonlySet<number>): boolean {
    const needed = this.#entries.size + blocks - this.#options.capacityBlocks;
    if (needed <= 0) return true;
    const victims: HostBlock[] = [];
    for (const key of this.#idle) {
      if (!keep.has(key)) victims.push(this.#entries.get(key)!.block);
      if (victims.length === needed) break;
    }
    if (victims.length < needed) return false;
    for (const { key } of victims) {
      this.#idle.delete(key);
      this.#entries.delete(key);
    }
    this.#options.removed?.(victims);
    return true;
  }
}
