/**
 * The blocks of one growing sequence: cuts tokens into blocks and hashes each as soon as it is complete
 * (semantics §2.1, §2.2). The hash functions come from outside (wasm), so that this stays pure.
 *
 * Cost: prompt hashes that the function already computed are taken over; a generated token costs one array write,
 * and every block one hash.
 */

import type { BlockPath } from './block-cache.ts';

/** Hashes as u32 pairs (low, high), two per block. */
export interface BlockHasher {
  /** Local hashes of the complete blocks of `tokens`. */
  local(tokens: Uint32Array, options: { blockSizeTokens: number; seed: bigint }): Uint32Array;
  /** Sequence hashes of consecutive blocks; `parent` is the pair before them, null at the root. */
  sequence(localHashes: Uint32Array, parent: Uint32Array | null): Uint32Array;
}

export interface TokenBlocksInput {
  tokens: Uint32Array;
  promptTokens: number;
  /** Local hashes of the complete prompt blocks, packed LE u64, or empty. */
  blockHashes: Uint8Array;
  hashSeed: bigint;
  blockSizeTokens: number;
  hasher: BlockHasher;
}

/** 0 on the wire means the default (semantics §2.1). */
export const DEFAULT_HASH_SEED = 1337n;

export class TokenBlocks implements BlockPath {
  slots: Int32Array;
  sequenceHashes: Uint32Array;
  localHashes: Uint32Array;
  /** Complete blocks, hashed. */
  complete: number;
  #tail: Uint32Array;
  #tailTokens: number;
  #seed: bigint;
  #hasher: BlockHasher;

  constructor(input: TokenBlocksInput) {
    const size = input.blockSizeTokens;
    this.#hasher = input.hasher;
    this.#seed = input.hashSeed === 0n ? DEFAULT_HASH_SEED : input.hashSeed;
    this.complete = Math.floor(input.tokens.length / size);
    this.localHashes = this.#localHashes(input);
    this.sequenceHashes =
      this.complete > 1 ? input.hasher.sequence(this.localHashes, null) : this.localHashes.slice();
    this.slots = new Int32Array(this.complete + 1);
    this.#tail = new Uint32Array(size);
    this.#tailTokens = input.tokens.length - this.complete * size;
    if (this.#tailTokens > 0) this.#tail.set(input.tokens.subarray(this.complete * size));
  }

  /** Appends a generated token. */
  push(token: number): void {
    this.#tail[this.#tailTokens++] = token;
    if (this.#tailTokens < this.#tail.length) return;
    this.#tailTokens = 0;
    const at = 2 * this.complete;
    const local = this.#hasher.local(this.#tail, {
      blockSizeTokens: this.#tail.length,
      seed: this.#seed,
    });
    const parent = at === 0 ? null : this.sequenceHashes.subarray(at - 2, at);
    const sequence = this.#hasher.sequence(local, parent);
    if (at === this.localHashes.length) this.#grow();
    this.localHashes.set(local, at);
    this.sequenceHashes.set(sequence, at);
    this.complete++;
  }

  /** Room for the slot of block `index`. */
  setSlot(index: number, slot: number): void {
    if (index >= this.slots.length) this.slots = widenSlots(this.slots, index + 1);
    this.slots[index] = slot;
  }

  #localHashes(input: TokenBlocksInput): Uint32Array {
    const size = input.blockSizeTokens;
    const given = Math.floor(input.promptTokens / size);
    if (input.blockHashes.length !== 8 * given || given === 0) {
      return input.hasher.local(input.tokens, { blockSizeTokens: size, seed: this.#seed });
    }
    const hashes = new Uint32Array(2 * this.complete);
    new Uint8Array(hashes.buffer).set(input.blockHashes);
    if (this.complete > given) {
      const rest = input.tokens.subarray(given * size, this.complete * size);
      hashes.set(input.hasher.local(rest, { blockSizeTokens: size, seed: this.#seed }), 2 * given);
    }
    return hashes;
  }

  #grow(): void {
    const room = Math.max(8, 2 * this.localHashes.length);
    this.localHashes = widenHashes(this.localHashes, room);
    this.sequenceHashes = widenHashes(this.sequenceHashes, room);
  }
}

function widenHashes(hashes: Uint32Array, length: number): Uint32Array {
  const wider = new Uint32Array(length);
  wider.set(hashes);
  return wider;
}

function widenSlots(slots: Int32Array, needed: number): Int32Array {
  const wider = new Int32Array(Math.max(needed, 2 * slots.length, 8));
  wider.set(slots);
  return wider;
}
