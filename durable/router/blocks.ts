/**
 * What the router asks of the wasm indexes, as interfaces: the core never sees wasm memory, and tests give it a naive one.
 *
 * A *slot* is a small number for one (instance, dp rank) of a model. Hashes are packed little-endian u64. Arrays that come
 * back are views of scratch memory, indexed by slot, and hold only until the next call; slots beyond their length have 0.
 */

/** What a store did; the names are the `status` label of kv_cache_events_applied. */
export type StoreStatus = 'ok' | 'duplicate' | 'parent_block_not_found' | 'invalid_block';

/** Who has which prefix (semantics §3.2). */
export interface PrefixIndex {
  /** Appends a path under `parentHash` (empty = the root). */
  store(slot: number, parentHash: Uint8Array, blockHashes: Uint8Array, tokensHashes: Uint8Array): StoreStatus;
  /** Returns how many of the hashes the slot did not have. */
  remove(slot: number, blockHashes: Uint8Array): number;
  clear(slot: number): void;
  /** Leading blocks of the prompt that each slot has. */
  find(blockHashes: Uint8Array): Uint32Array;
  /** Blocks that one slot has. */
  slotBlocks(slot: number): number;
  readonly blocks: number;
  readonly bytes: number;
  free(): void;
}

/** Unique blocks of running requests by slot (semantics §1.2, D). Requests are reservation numbers. */
export interface BlocksInFlight {
  add(request: number, slot: number, blockHashes: Uint8Array): void;
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
