/** Least recently released first, lower priorities before higher ones: Dynamo's order of old (semantics §7). */

import type { BlockIdentity } from '../block.ts';
import { type EvictionPolicy, NONE } from './eviction-policy.ts';
import { SlotLinks, SlotList } from './slot-list.ts';

/** Priorities 0 to 7; others are cut to these. */
const LEVELS = 8;

export class Lru implements EvictionPolicy {
  readonly #level: Uint8Array;
  readonly #lists: SlotList[];

  constructor(slots: number) {
    const links = new SlotLinks(slots);
    this.#level = new Uint8Array(slots);
    this.#lists = Array.from({ length: LEVELS }, (_, level) => new SlotList(links, level + 1));
  }

  admit(slot: number, _block: BlockIdentity, priority: number): void {
    this.#level[slot] = Math.min(Math.max(Math.trunc(priority), 0), LEVELS - 1);
  }

  hold(slot: number): void {
    this.#listOf(slot).remove(slot);
  }

  release(slot: number): void {
    this.#listOf(slot).add(slot);
  }

  forget(slot: number): void {
    this.#listOf(slot).remove(slot);
  }

  victim(): number {
    return this.#lists.find(({ length }) => length > 0)?.oldest ?? NONE;
  }

  #listOf(slot: number): SlotList {
    return this.#lists[this.#level[slot]!]!;
  }
}
