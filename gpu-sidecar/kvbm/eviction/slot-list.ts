/**
 * A doubly linked list of slots in typed arrays: add at the end, take from anywhere, walk from the oldest on. A slot is in at
 * most one list of a `SlotLinks`. Constant time, no garbage.
 */

import { NONE } from './eviction-policy.ts';

/** The links of all lists of one policy. */
export class SlotLinks {
  readonly next: Int32Array;
  readonly previous: Int32Array;
  /** Whose the slot is; 0: in no list. */
  readonly list: Uint8Array;

  constructor(slots: number) {
    this.next = new Int32Array(slots).fill(NONE);
    this.previous = new Int32Array(slots).fill(NONE);
    this.list = new Uint8Array(slots);
  }
}

export class SlotList {
  readonly #links: SlotLinks;
  /** 1 to 255, another for each list of the links. */
  readonly #id: number;
  oldest = NONE;
  #newest = NONE;
  length = 0;

  constructor(links: SlotLinks, id: number) {
    this.#links = links;
    this.#id = id;
  }

  has(slot: number): boolean {
    return this.#links.list[slot] === this.#id;
  }

  /** The slot added after this one, or NONE. */
  after(slot: number): number {
    return this.#links.next[slot]!;
  }

  add(slot: number): void {
    const { next, previous, list } = this.#links;
    previous[slot] = this.#newest;
    next[slot] = NONE;
    if (this.#newest === NONE) this.oldest = slot;
    else next[this.#newest] = slot;
    this.#newest = slot;
    list[slot] = this.#id;
    this.length++;
  }

  /** Does nothing when the slot is not in this list. */
  remove(slot: number): void {
    if (!this.has(slot)) return;
    const { next, previous, list } = this.#links;
    const before = previous[slot]!;
    const after = next[slot]!;
    if (before === NONE) this.oldest = after;
    else next[before] = after;
    if (after === NONE) this.#newest = before;
    else previous[after] = before;
    list[slot] = 0;
    this.length--;
  }
}
