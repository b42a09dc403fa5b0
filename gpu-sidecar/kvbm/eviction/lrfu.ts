/**
 * Least recently and frequently used (Lee et al., 2001): a block's worth is the sum over its uses of 2^(-age / half-life), age
 * in uses of the pool. Worth fades alike for all, so its logarithm plus age ÷ half-life stands still between uses and
 * a heap keeps the order. Whatever uses a block uses its prefix too, so a prefix is worth no less than what follows, and
 * equals go deepest first: leaves before roots. Blocks that were evicted are remembered for a while by their worth.
 *
 * A priority multiplies the worth: each step is one half-life longer.
 */

import type { BlockIdentity } from '../block.ts';
import type { EvictionPolicy } from './eviction-policy.ts';
import { PastHashes } from './past-hashes.ts';
import { SlotHeap } from './slot-heap.ts';

/** In uses of blocks, as a multiple of the slots. Measured: docs/decisions/0014. */
const HALF_LIFE = 1;
/** Evicted blocks remembered, as a multiple of the slots. */
const MEMORY = 2;

export class Lrfu implements EvictionPolicy {
  readonly #heap: SlotHeap;
  readonly #past: PastHashes<number>;
  readonly #step: number;
  readonly #worth: Float64Array;
  readonly #priority: Uint8Array;
  readonly #blocks: (BlockIdentity | null)[];
  /** Age of the pool in half-lives. */
  #now = 0;

  constructor(slots: number) {
    this.#heap = new SlotHeap(slots);
    this.#past = new PastHashes(slots * MEMORY);
    this.#step = 1 / (slots * HALF_LIFE);
    this.#worth = new Float64Array(slots);
    this.#priority = new Uint8Array(slots);
    this.#blocks = new Array<BlockIdentity | null>(slots).fill(null);
  }

  admit(slot: number, block: BlockIdentity, priority: number): void {
    this.#blocks[slot] = block;
    this.#priority[slot] = Math.min(Math.max(Math.trunc(priority), 0), 255);
    this.#worth[slot] = this.#past.take(block.hash) ?? -Infinity;
  }

  hold(slot: number): void {
    this.#heap.remove(slot);
  }

  /** A use counts when it ends: ends come last block first, so a beginning is the younger one. */
  release(slot: number): void {
    this.#use(slot);
    this.#heap.add(slot, this.#worth[slot]! + this.#priority[slot]!, this.#blocks[slot]!.position);
  }

  forget(slot: number): void {
    this.#heap.remove(slot);
    const block = this.#blocks[slot]!;
    this.#past.add(block.hash, this.#worth[slot]!);
    this.#blocks[slot] = null;
  }

  victim(): number {
    return this.#heap.first;
  }

  /** log2(2^worth + 2^now). */
  #use(slot: number): void {
    this.#now += this.#step;
    const now = this.#now;
    this.#worth[slot] = now + Math.log2(1 + 2 ** (this.#worth[slot]! - now));
  }
}
