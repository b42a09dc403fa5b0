/**
 * A binary heap of slots by a number each, smallest first; among equals the deeper block of its sequence. A slot's place is
 * known, so that it can be taken out or re-weighed anywhere in it: O(log n).
 */

import { NONE } from './eviction-policy.ts';

export class SlotHeap {
  readonly #keys: Float64Array;
  readonly #depths: Uint32Array;
  readonly #heap: Int32Array;
  /** Place of a slot in the heap, or NONE. */
  readonly #place: Int32Array;
  #length = 0;

  constructor(slots: number) {
    this.#keys = new Float64Array(slots);
    this.#depths = new Uint32Array(slots);
    this.#heap = new Int32Array(slots);
    this.#place = new Int32Array(slots).fill(NONE);
  }

  /** The smallest, or NONE. */
  get first(): number {
    return this.#length === 0 ? NONE : this.#heap[0]!;
  }

  add(slot: number, key: number, depth: number): void {
    this.#keys[slot] = key;
    this.#depths[slot] = depth;
    this.#put(slot, this.#length++);
    this.#up(slot);
  }

  /** Does nothing when the slot is not in the heap. */
  remove(slot: number): void {
    const place = this.#place[slot]!;
    if (place === NONE) return;
    this.#place[slot] = NONE;
    const last = this.#heap[--this.#length]!;
    if (last === slot) return;
    this.#put(last, place);
    this.#up(last);
    this.#down(last);
  }

  #before(a: number, b: number): boolean {
    const difference = this.#keys[a]! - this.#keys[b]!;
    return difference < 0 || (difference === 0 && this.#depths[a]! > this.#depths[b]!);
  }

  #put(slot: number, place: number): void {
    this.#heap[place] = slot;
    this.#place[slot] = place;
  }

  #up(slot: number): void {
    let place = this.#place[slot]!;
    while (place > 0) {
      const parent = this.#heap[(place - 1) >> 1]!;
      if (!this.#before(slot, parent)) return;
      this.#put(parent, place);
      place = (place - 1) >> 1;
      this.#put(slot, place);
    }
  }

  #down(slot: number): void {
    for (let place = this.#place[slot]!; ; place = this.#place[slot]!) {
      let child = 2 * place + 1;
      if (child >= this.#length) return;
      if (child + 1 < this.#length && this.#before(this.#heap[child + 1]!, this.#heap[child]!)) child++;
      const smaller = this.#heap[child]!;
      if (!this.#before(smaller, slot)) return;
      this.#put(smaller, place);
      this.#put(slot, child);
    }
  }
}
