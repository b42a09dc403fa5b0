/**
 * Which blocks are worth a write to disk: those seen more than once lately, as with Dynamo's disk filter (semantics §7). The first
 * sight counts 1 and each further one doubles it; from `least` on a block passes. With time all counts go down by 1.
 * Pure: time is an argument. Bounded: at its limit it forgets as if time had passed, but not at every block, because forgetting
 * looks at all of them; newcomers that find no room are not remembered.
 */

import type { Clock } from '../../../durable/runtime/clock.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';

/** A count beyond this says no more. */
const MOST = 1 << 20;

export class FrequencyFilter {
  readonly #clock: Clock;
  readonly #least: number;
  readonly #capacity: number;
  readonly #counts = new Map<bigint, number>();
  #fadedAtMs: number;
  /** Blocks seen since. */
  #seen = 0;

  constructor(options: { clock: Clock; least: number; capacity?: number }) {
    this.#clock = options.clock;
    this.#least = options.least;
    this.#capacity = options.capacity ?? LIMITS.kvbmFilterBlocks;
    this.#fadedAtMs = options.clock.nowMs();
  }

  /** A block was seen: does it pass? */
  passes(hash: bigint): boolean {
    if (this.#least <= 1) return true;
    const nowMs = this.#clock.nowMs();
    const full = this.#counts.size >= this.#capacity;
    if (nowMs - this.#fadedAtMs >= LIMITS.kvbmFilterMs || (full && ++this.#seen >= this.#capacity / 4))
      this.#fade(nowMs);
    const before = this.#counts.get(hash);
    const count = before === undefined ? 1 : Math.min(2 * before, MOST);
    if (before !== undefined || this.#counts.size < this.#capacity) this.#counts.set(hash, count);
    return count >= this.#least;
  }

  #fade(nowMs: number): void {
    this.#fadedAtMs = nowMs;
    this.#seen = 0;
    for (const [hash, count] of this.#counts) {
      if (count > 1) this.#counts.set(hash, count - 1);
      else this.#counts.delete(hash);
    }
  }
}
