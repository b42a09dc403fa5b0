/**
 * The indexes of `blocks.ts` in wasm (`wasm/radix`). Matches come from wasm as (slot, depth) pairs and are spread into one
 * array per index, so that a candidate's depth is one read; only the entries of the last answer are wiped.
 */

import { ActiveSequences, loadRadix, type Matches, RadixIndex, storeStatus } from '#wasm/radix';
import { LIMITS } from '../runtime/limits.ts';
import type { BlocksInFlight, Indexes, PrefixIndex, PrefixMatch, StoreStatus, Tier } from './blocks.ts';

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
  /** The slots whose depth is not 0; the array never shrinks, for a shrunk one is allocated anew. */
  readonly #touched: number[] = [];
  #count = 0;

  spread({ count, pairs }: Matches): Uint32Array {
    this.wipe();
    for (let i = 0; i < count; i++) this.set(pairs[2 * i]!, pairs[2 * i + 1]!);
    return this.#depths;
  }

  /** Empty when no slot has anything, so that readers can leave it out. */
  get depths(): Uint32Array {
    return this.#count === 0 ? NONE : this.#depths;
  }

  wipe(): void {
    for (let i = 0; i < this.#count; i++) this.#depths[this.#touched[i]!] = 0;
    this.#count = 0;
  }

  set(slot: number, depth: number): void {
    if (slot >= this.#depths.length) this.#grow(slot + 1);
    this.#depths[slot] = depth;
    this.#touched[this.#count++] = slot;
  }

  #grow(slots: number): void {
    const larger = new Uint32Array(2 * slots);
    larger.set(this.#depths);
    this.#depths = larger;
  }
}

class WasmPrefixIndex implements PrefixIndex {
  readonly #index = new RadixIndex({ capacityBytes: LIMITS.indexBytes });
  readonly #byTier = [new BySlot(), new BySlot(), new BySlot(), new BySlot()] as const;

  store(
    slot: number,
    tier: Tier,
    parentHash: Uint8Array,
    blockHashes: Uint8Array,
    tokensHashes: Uint8Array,
  ): StoreStatus {
    const parent = parentHash.length === 0 ? null : parentHash;
    return STATUS[this.#index.store(slot, { parentHash: parent, blockHashes, tokensHashes }, tier)]!;
  }

  remove(slot: number, tier: Tier, blockHashes: Uint8Array): number {
    return this.#index.remove(slot, blockHashes, tier);
  }

  clear(slot: number, tier?: Tier): void {
    this.#index.clear(slot, tier);
  }

  sweep(): boolean {
    return this.#index.sweep();
  }

  find(blockHashes: Uint8Array): PrefixMatch {
    const found = this.#index.find(blockHashes);
    const [device, host, disk, external] = this.#byTier;
    device.spread(found);
    for (const tier of [host, disk, external]) tier.wipe();
    const { lowerCount, lower } = found;
    for (let i = 0; i < lowerCount; i++) {
      this.#byTier[lower[3 * i + 1] as Tier].set(lower[3 * i]!, lower[3 * i + 2]!);
    }
    return { device: device.depths, host: host.depths, disk: disk.depths, external: external.depths };
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
