/**
 * Least recently used leaf first: a block goes only when no block that follows it is there (Dynamo's newer default), or when
 * those that follow are all held. Among leaves the lower priority goes first, then the one used longest ago.
 */

import type { BlockIdentity } from '../block.ts';
import { type EvictionPolicy, NONE } from './eviction-policy.ts';
import { SlotHeap } from './slot-heap.ts';

/** Uses that one step of priority is worth: more than there ever are between two. */
const PRIORITY_STEP = 2 ** 45;

export class Lineage implements EvictionPolicy {
  readonly #leaves: SlotHeap;
  /** Released blocks that others follow. */
  readonly #inner: SlotHeap;
  readonly #slots = new Map<bigint, number>();
  readonly #blocks: (BlockIdentity | null)[];
  readonly #children: Uint32Array;
  readonly #held: Uint8Array;
  readonly #keys: Float64Array;
  readonly #priority: Uint8Array;
  #uses = 0;

  constructor(slots: number) {
    this.#leaves = new SlotHeap(slots);
    this.#inner = new SlotHeap(slots);
    this.#blocks = new Array<BlockIdentity | null>(slots).fill(null);
    this.#children = new Uint32Array(slots);
    this.#held = new Uint8Array(slots);
    this.#keys = new Float64Array(slots);
    this.#priority = new Uint8Array(slots);
  }

  admit(slot: number, block: BlockIdentity, priority: number): void {
    this.#blocks[slot] = block;
    this.#slots.set(block.hash, slot);
    this.#priority[slot] = Math.min(Math.max(Math.trunc(priority), 0), 255);
    this.#children[slot] = 0;
    const parent = this.#parentOf(block);
    if (parent !== NONE) {
      this.#children[parent]!++;
      this.#sort(parent);
    }
    this.#use(slot);
  }

  hold(slot: number): void {
    this.#use(slot);
    this.#sort(slot);
  }

  release(slot: number): void {
    this.#held[slot] = 0;
    this.#sort(slot);
  }

  forget(slot: number): void {
    const block = this.#blocks[slot]!;
    this.#leaves.remove(slot);
    this.#inner.remove(slot);
    this.#slots.delete(block.hash);
    this.#blocks[slot] = null;
    const parent = this.#parentOf(block);
    if (parent === NONE || this.#children[parent] === 0) return;
    this.#children[parent]!--;
    this.#sort(parent);
  }

  victim(): number {
    return this.#leaves.first === NONE ? this.#inner.first : this.#leaves.first;
  }

  #use(slot: number): void {
    this.#held[slot] = 1;
    this.#keys[slot] = ++this.#uses + this.#priority[slot]! * PRIORITY_STEP;
  }

  /** Into the heap where it belongs, or none. */
  #sort(slot: number): void {
    this.#leaves.remove(slot);
    this.#inner.remove(slot);
    if (this.#held[slot] === 1) return;
    const heap = this.#children[slot] === 0 ? this.#leaves : this.#inner;
    heap.add(slot, this.#keys[slot]!, this.#blocks[slot]!.position);
  }

  #parentOf(block: BlockIdentity): number {
    return block.parent === null ? NONE : (this.#slots.get(block.parent) ?? NONE);
  }
}
