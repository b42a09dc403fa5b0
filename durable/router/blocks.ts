/**
 * What the router asks of the wasm indexes, as interfaces: the core never sees wasm memory, and tests give it a naive one.
 *
 * A *slot* is a small number for one (instance, dp rank) of a model. Hashes are packed little-endian u64. Arrays that come
 * back are views of scratch memory, indexed by slot, and hold only until the next call; slots beyond their length have 0.
 */

/** Bytes of a hash. */
export const HASH_BYTES = 8;

/** What a store did; the names are the `status` label of kv_cache_events_applied. */
export type StoreStatus = 'ok' | 'duplicate' | 'parent_block_not_found' | 'invalid_block';

/** Where a slot has a block: StorageTier of fleet.proto. */
export const TIER = { device: 0, host: 1, disk: 2, external: 3 } as const;
export type Tier = (typeof TIER)[keyof typeof TIER];

/**
 * How much of a prompt each slot has, in blocks, by slot. `device` counts from the first block on; each further tier counts
 * the blocks it has without a gap from where the tier before it ended.
 */
export type PrefixMatch = Readonly<Record<keyof typeof TIER, Uint32Array>>;

/** Who has which prefix (semantics §3.2). */
export interface PrefixIndex {
  /** Appends a path under `parentHash` (empty = the root), a block that the slot has in any tier. */
  store(
    slot: number,
    tier: Tier,
    parentHash: Uint8Array,
    blockHashes: Uint8Array,
    tokensHashes: Uint8Array,
  ): StoreStatus;
  /** Returns how many of the hashes the slot did not have in that tier. */
  remove(slot: number, tier: Tier, blockHashes: Uint8Array): number;
  /** Ends all that the slot has, or what it has in one tier. */
  clear(slot: number, tier?: Tier): void;
  /** A step of freeing what was cleared, for a quiet time: every change does one too. Is there more to do? */
  sweep(): boolean;
  find(blockHashes: Uint8Array): PrefixMatch;
  /** Blocks that one slot has on its device. */
  slotBlocks(slot: number): number;
  readonly blocks: number;
  readonly bytes: number;
  free(): void;
}

/** Unique blocks of running requests by slot (semantics §1.2, D). Requests are reservation numbers. */
export interface BlocksInFlight {
  /** A salt other than 0 shares with nobody. */
  add(request: number, slot: number, blockHashes: Uint8Array, salt: number): void;
  /** `count` more blocks that only this request has: its output. */
  grow(request: number, count: number): void;
  remove(request: number): void;
  /** Leading blocks of the prompt that are active on each slot already. */
  shared(blockHashes: Uint8Array): Uint32Array;
  /** Active blocks on one slot. */
  active(slot: number): number;
  free(): void;
}

/** Makes the indexes of a model. */
export interface Indexes {
  prefixIndex(): PrefixIndex;
  blocksInFlight(): BlocksInFlight;
}
