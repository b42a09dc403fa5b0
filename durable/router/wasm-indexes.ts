/**
 * The indexes of `blocks.ts` in wasm (`wasm/radix`). Matches come from wasm as (slot, depth) pairs and are spread into one
 * array per index, so that a candidate's depth is one read; only the entries of the last answer are wiped.
 */

import { ActiveSequences, loadRadix, type Matches, RadixIndex, storeStatus } from '#wasm/radix';
import { LIMITS } from '../runtime/limits.ts';
import {
  type BlocksInFlight,
  type Indexes,
  type PrefixIndex,
  type PrefixMatch,
  type StoreStatus,
  TIER,
  type Tier,
} from './blocks.ts';

const STATUS: Readonly<Record<number, StoreStatus>> = {
  [storeStatus.stored]: 'ok',
  [storeStatus.duplicate]: 'duplicate',
  [storeStatus.parentNotFound]: 'parent_block_not_found',
  [storeStatus.invalid]: 'invalid_block',
};

const NONE = new Uint32Array(0);

/** Depths by slot. */
class BySlot {
  #depths = new Uint32Array(16);
  #touched: number[] = [];

  spread({ count, pairs }: Matches): Uint32Array {
    for (const slot of this.#touched) this.#depths[slot] = 0;
    this.#touched.length = 0;
    for (let i = 0; i < count; i++) {
      const slot = pairs[2 * i]!;
      if (slot >= this.#depths.length) this.#grow(slot + 1);
      this.#depths[slot] = pairs[2 * i + 1]!;
      this.#touched.push(slot);
    }
    return this.#depths;
  }

  #grow(slots: number): void {
    const larger = new Uint32Array(2 * slots);
    larger.set(this.#depths);
    this.#depths = larger;
  }
}

class WasmPrefixIndex implements PrefixIndex {
  readonly #index = new RadixIndex({ capacityBytes: LIMITS.indexBytes });
  readonly #bySlot = new BySlot();

  store(
    slot: number,
    tier: Tier,
    parentHash: Uint8Array,
    blockHashes: Uint8Array,
    tokensHashes: Uint8Array,
  ): StoreStatus {
    if (tier !== TIER.device) return 'ok';
    const parent = parentHash.length === 0 ? null : parentHash;
    return STATUS[this.#index.store(slot, { parentHash: parent, blockHashes, tokensHashes })]!;
  }

  remove(slot: number, tier: Tier, blockHashes: Uint8Array): number {
    if (tier !== TIER.device) return 0;
    return this.#index.remove(slot, blockHashes);
  }

  clear(slot: number, tier: Tier = TIER.device): void {
    if (tier === TIER.device) this.#index.clear(slot);
  }

  find(blockHashes: Uint8Array): PrefixMatch {
    const device = this.#bySlot.spread(this.#index.find(blockHashes));
    return { device, host: NONE, disk: NONE, external: NONE };
  }

  slotBlocks(slot: number): number {
    return this.#index.slotBlocks(slot);
  }

  get blocks(): number {
    return this.#index.blocks;
  }

  get bytes(): number {
    return this.#index.bytes;
  }

  free(): void {
    this.#index.free();
  }
}

class WasmBlocksInFlight implements BlocksInFlight {
  readonly #sequences = new ActiveSequences();
  readonly #bySlot = new BySlot();

  add(request: number, slot: number, blockHashes: Uint8Array, salt: number): void {
    this.#sequences.add(request, slot, blockHashes, salt);
  }

  grow(request: number, count: number): void {
    this.#sequences.grow(request, count);
  }

  remove(request: number): void {
    this.#sequences.end(request);
  }

  shared(blockHashes: Uint8Array): Uint32Array {
    return this.#bySlot.spread(this.#sequences.potential(blockHashes));
  }

  active(slot: number): number {
    return this.#sequences.activeBlocks(slot);
  }

  free(): void {
    this.#sequences.free();
  }
}

export const wasmIndexes: Indexes = {
  prefixIndex() {
    loadRadix();
    return new WasmPrefixIndex();
  },
  blocksInFlight() {
    loadRadix();
    return new WasmBlocksInFlight();
  },
};
