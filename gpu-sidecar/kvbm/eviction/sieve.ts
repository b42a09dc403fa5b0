/**
 * SIEVE (Zhang et al., NSDI 2024): one queue in order of arrival and a hand that walks from the oldest on, sparing once each
 * block used since it last came by. Held blocks are passed over. Priorities are not looked at.
 */

import { type EvictionPolicy, NONE } from './eviction-policy.ts';
import { SlotLinks, SlotList } from './slot-list.ts';

export class Sieve implements EvictionPolicy {
  readonly #queue: SlotList;
  readonly #used: Uint8Array;
  readonly #held: Uint8Array;
  #hand = NONE;

  constructor(slots: number) {
    this.#queue = new SlotList(new SlotLinks(slots), 1);
    this.#used = new Uint8Array(slots);
    this.#held = new Uint8Array(slots);
  }

  admit(slot: number): void {
    this.#used[slot] = 0;
    this.#held[slot] = 1;
    this.#queue.add(slot);
  }

  hold(slot: number): void {
    this.#used[slot] = 1;
    this.#held[slot] = 1;
  }

  release(slot: number): void {
    this.#held[slot] = 0;
  }

  forget(slot: number): void {
    if (this.#hand === slot) this.#hand = this.#queue.after(slot);
    this.#queue.remove(slot);
  }

  /** Two rounds at most: the first may only take marks away. */
  victim(): number {
    let slot = this.#hand;
    for (let steps = 2 * this.#queue.length; steps > 0; steps--) {
      if (slot === NONE) slot = this.#queue.oldest;
      if (this.#held[slot] === 0) {
        if (this.#used[slot] === 0) {
          this.#hand = slot;
          return slot;
        }
        this.#used[slot] = 0;
      }
      slot = this.#queue.after(slot);
    }
    return NONE;
  }
}
