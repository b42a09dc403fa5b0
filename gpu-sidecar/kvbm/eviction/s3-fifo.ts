/**
 * S3-FIFO (Yang et al., SOSP 2023): newcomers go through a small queue (a tenth) and leave it unless they were used again;
 * who comes back soon after goes to the main queue at once. Held blocks are passed over. Priorities are not looked at.
 */

import type { BlockIdentity } from '../block.ts';
import { type EvictionPolicy, NONE } from './eviction-policy.ts';
import { PastHashes } from './past-hashes.ts';
import { SlotLinks, SlotList } from './slot-list.ts';

const SMALL_SHARE = 0.1;
const MOST_USES = 3;

export class S3Fifo implements EvictionPolicy {
  readonly #small: SlotList;
  readonly #main: SlotList;
  readonly #smallTarget: number;
  readonly #past: PastHashes<true>;
  readonly #uses: Uint8Array;
  readonly #held: Uint8Array;
  readonly #hashes: bigint[];

  constructor(slots: number) {
    const links = new SlotLinks(slots);
    this.#small = new SlotList(links, 1);
    this.#main = new SlotList(links, 2);
    this.#smallTarget = Math.max(1, Math.floor(slots * SMALL_SHARE));
    this.#past = new PastHashes(slots);
    this.#uses = new Uint8Array(slots);
    this.#held = new Uint8Array(slots);
    this.#hashes = new Array<bigint>(slots).fill(0n);
  }

  admit(slot: number, block: BlockIdentity): void {
    this.#uses[slot] = 0;
    this.#held[slot] = 1;
    this.#hashes[slot] = block.hash;
    (this.#past.take(block.hash) ? this.#main : this.#small).add(slot);
  }

  hold(slot: number): void {
    this.#uses[slot] = Math.min(this.#uses[slot]! + 1, MOST_USES);
    this.#held[slot] = 1;
  }

  release(slot: number): void {
    this.#held[slot] = 0;
  }

  forget(slot: number): void {
    this.#small.remove(slot);
    this.#main.remove(slot);
  }

  victim(): number {
    const fromSmall = this.#small.length >= this.#smallTarget ? this.#smallVictim() : NONE;
    if (fromSmall !== NONE) return fromSmall;
    const fromMain = this.#mainVictim();
    return fromMain === NONE ? this.#smallVictim() : fromMain;
  }

  #smallVictim(): number {
    for (let steps = this.#small.length; steps > 0; steps--) {
      const slot = this.#small.oldest;
      this.#small.remove(slot);
      if (this.#held[slot] === 1) this.#small.add(slot);
      else if (this.#uses[slot]! > 0) {
        this.#uses[slot] = 0;
        this.#main.add(slot);
      } else {
        this.#small.add(slot);
        this.#past.add(this.#hashes[slot]!, true);
        return slot;
      }
    }
    return NONE;
  }

  #mainVictim(): number {
    for (let steps = (MOST_USES + 1) * this.#main.length; steps > 0; steps--) {
      const slot = this.#main.oldest;
      this.#main.remove(slot);
      this.#main.add(slot);
      if (this.#held[slot] === 1) continue;
      if (this.#uses[slot] === 0) return slot;
      this.#uses[slot]!--;
    }
    return NONE;
  }
}
