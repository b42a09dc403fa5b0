/**
 * The blocks of one growing sequence: cuts tokens into blocks and hashes each as soon as it is complete
 * (semantics §2.1, §2.2). The hash functions come from outside (wasm), so that this stays pure.
 *
 * Cost: a generated token is one array write, every block one hash.
 */

import type { BlockPath } from './block-cache.ts';

/** Hashes as u32 pairs (low, high), two words a block. */
export interface BlockHasher {
  /** Local and sequence hashes of the complete blocks of `tokens`, which begin a sequence. */
  hash(
    tokens: Uint32Array,
    options: { blockSizeTokens: number; seed: bigint },
  ): { local: Uint32Array; sequence: Uint32Array };
  /** Sequence hash of the block after `parent`. */
  chain(parent: Uint32Array, local: Uint32Array): Uint32Array;
}

/** A path that grows by a token at a time. */
export interface GrowingBlocks extends BlockPath {
  push(token: number): void;
  /** Notes the slot of block `index`. */
  setSlot(index: number, slot: number): void;
}

export interface BlockShape {
  blockSizeTokens: number;
  hasher: BlockHasher;
}

/** 0 on the wire means the default (semantics §2.1). */
export const DEFAULT_HASH_SEED = 1337n;

export class TokenBlocks implements GrowingBlocks {
  slots: Int32Array;
  sequenceHashes: Uint32Array;
  localHashes: Uint32Array;
  /** Complete blocks, hashed. */
  complete: number;
  #tail: Uint32Array;
  #tailTokens: number;
  #seed: bigint;
  #hasher: BlockHasher;

  constructor(input: { tokenIds: Uint32Array; hashSeed: bigint }, { blockSizeTokens, hasher }: BlockShape) {
    const { tokenIds: tokens, hashSeed } = input;
    this.#hasher = hasher;
    this.#seed = hashSeed === 0n ? DEFAULT_HASH_SEED : hashSeed;
    const hashes = hasher.hash(tokens, { blockSizeTokens, seed: this.#seed });
    this.localHashes = hashes.local;
    this.sequenceHashes = hashes.sequence;
    this.complete = hashes.local.length / 2;
    this.slots = new Int32Array(this.complete + 1);
    this.#tail = new Uint32Array(blockSizeTokens);
    this.#tail.set(tokens.subarray(this.complete * blockSizeTokens));
    this.#tailTokens = tokens.length - this.complete * blockSizeTokens;
  }

  /** Appends a generated token. */
  push(token: number): void {
    this.#tail[this.#tailTokens++] = token;
    if (this.#tailTokens < this.#tail.length) return;
    this.#tailTokens = 0;
    const options = { blockSizeTokens: this.#tail.length, seed: this.#seed };
    const { local, sequence } = this.#hasher.hash(this.#tail, options);
    const at = 2 * this.complete++;
    if (at === this.localHashes.length) this.#grow();
    this.localHashes.set(local, at);
    const parent = this.sequenceHashes.subarray(at - 2, at);
    this.sequenceHashes.set(at === 0 ? sequence : this.#hasher.chain(parent, local), at);
  }

  setSlot(index: number, slot: number): void {
    if (index >= this.slots.length) {
      const wider = new Int32Array(Math.max(8, 2 * this.slots.length));
      wider.set(this.slots);
      this.slots = wider;
    }
    this.slots[index] = slot;
  }

  #grow(): void {
    const length = Math.max(8, 2 * this.localHashes.length);
    this.localHashes = wider(this.localHashes, length);
    this.sequenceHashes = wider(this.sequenceHashes, length);
  }
}

function wider(hashes: Uint32Array, length: number): Uint32Array {
  const grown = new Uint32Array(length);
  grown.set(hashes);
  return grown;
}
