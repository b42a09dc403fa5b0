/**
 * A simulated host-memory tier behind one GPU (semantics §10, native host offload): every complete prompt block is copied
 * to it once computed, and copied back instead of computed when a later prompt begins with it.
 *
 * One lane each way, first in first out, at a fixed time per block. A block is `pending` while it is on its way, then
 * resident; the least recently used resident block that no load reads makes room. Touches, stores and loads are the
 * caller's, at times that never go back. Pure. Cost: a map operation a block.
 */

/** Sequence hash of a block as one number; the 11 bits that this leaves out are the least of the risks of a simulation. */
export type HostKey = number;

export function hostKeys(sequenceHashes: Uint32Array, blocks: number): HostKey[] {
  const keys: HostKey[] = [];
  for (let i = 0; i < blocks; i++) {
    keys.push(sequenceHashes[2 * i]! + (sequenceHashes[2 * i + 1]! & 0x1f_ffff) * 2 ** 32);
  }
  return keys;
}

interface Entry {
  resident: boolean;
  /** Loads that read it. */
  readers: number;
}

/** Blocks under way; `dueMs` is infinite until the lane has it. */
export interface HostTransfer {
  readonly keys: readonly HostKey[];
  dueMs: number;
  readonly done: () => void;
}

export interface HostTierOptions {
  capacityBlocks: number;
  /** Time of one block in a lane. */
  blockMs: number;
}

export class HostTier {
  readonly #options: HostTierOptions;
  readonly #entries = new Map<HostKey, Entry>();
  /** Resident blocks that nobody reads, least recently used first. */
  readonly #idle = new Set<HostKey>();
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

  has(key: HostKey): boolean {
    return this.#entries.has(key);
  }

  /** Blocks from `from` on that are there without a gap; null when one of them is on its way in either direction. */
  match(keys: readonly HostKey[], from: number): number | null {
    let at = from;
    let waits = false;
    for (; at < keys.length; at++) {
      const entry = this.#entries.get(keys[at]!);
      if (entry === undefined) break;
      waits ||= !entry.resident || entry.readers > 0;
    }
    return waits ? null : at - from;
  }

  /** The blocks of a prompt were looked for: the first counts as used last. */
  touch(keys: readonly HostKey[]): void {
    for (let i = keys.length - 1; i >= 0; i--) if (this.#idle.delete(keys[i]!)) this.#idle.add(keys[i]!);
  }

  /** Makes room for those of `keys` that are not there; null when there is none. They are sent by `sendStores`. */
  store(keys: readonly HostKey[], done: () => void): HostTransfer | null {
    const missing = keys.filter((key) => !this.#entries.has(key));
    if (!this.#makeRoom(missing.length, new Set(keys))) return null;
    for (const key of missing) this.#entries.set(key, { resident: false, readers: 0 });
    const transfer = { keys: missing, dueMs: Infinity, done };
    this.#prepared.push(transfer);
    return transfer;
  }

  /** The pass that computed the prepared blocks is over. */
  sendStores(nowMs: number): void {
    for (const transfer of this.#prepared) {
      const startMs = Math.max(this.#storeFreeMs, nowMs);
      this.#storeFreeMs = transfer.dueMs = startMs + transfer.keys.length * this.#options.blockMs;
      this.#stores.push(transfer);
    }
    this.#prepared.length = 0;
  }

  /** Copies resident blocks back, not before a time. */
  load(keys: readonly HostKey[], notBeforeMs: number, done: () => void): void {
    for (const key of keys) {
      this.#entries.get(key)!.readers++;
      this.#idle.delete(key);
    }
    const startMs = Math.max(this.#loadFreeMs, notBeforeMs);
    const dueMs = startMs + keys.length * this.#options.blockMs;
    this.#loadFreeMs = dueMs;
    this.#loads.push({ keys, dueMs, done });
  }

  /** Ends what is due, stores before loads; true when there was any. */
  advance(nowMs: number): boolean {
    let any = false;
    while (this.dueMs <= nowMs) {
      const isStore = (this.#stores[0]?.dueMs ?? Infinity) <= (this.#loads[0]?.dueMs ?? Infinity);
      const transfer = (isStore ? this.#stores : this.#loads).shift()!;
      for (const key of transfer.keys) this.#arrived(key, isStore);
      transfer.done();
      any = true;
    }
    return any;
  }

  #arrived(key: HostKey, isStore: boolean): void {
    const entry = this.#entries.get(key)!;
    if (isStore) entry.resident = true;
    else entry.readers--;
    if (entry.readers === 0) this.#idle.add(key);
  }

  #makeRoom(blocks: number, keep: ReadonlySet<HostKey>): boolean {
    const needed = this.#entries.size + blocks - this.#options.capacityBlocks;
    const victims: HostKey[] = [];
    if (needed > 0) {
      for (const key of this.#idle) {
        if (!keep.has(key)) victims.push(key);
        if (victims.length === needed) break;
      }
    }
    if (victims.length < needed) return false;
    for (const key of victims) {
      this.#idle.delete(key);
      this.#entries.delete(key);
    }
    return true;
  }
}
