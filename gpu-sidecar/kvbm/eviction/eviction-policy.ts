/**
 * Which registered block makes room for another. One file for each policy, `registry.ts` has them by name.
 *
 * A policy knows slots (small numbers) that are registered; each is *held* from `admit` on until `release`, and only released
 * ones may be victims. A pool calls in this order: admit, then release and hold in turns, then forget. Being held
 * again is what counts as use. Blocks of a sequence are held first to last and released last to first, all in one go,
 * so in order of use a prefix is never older than what follows it.
 */

import type { BlockIdentity } from '../block.ts';

export interface EvictionPolicy {
  /** The slot has a registered block now, and somebody holds it. Higher priorities outlive lower ones. */
  admit(slot: number, block: BlockIdentity, priority: number): void;
  /** Somebody holds it again: a use. */
  hold(slot: number): void;
  /** Nobody holds it any more. */
  release(slot: number): void;
  /** It is registered no more. */
  forget(slot: number): void;
  /** The released slot to give up next, or -1; the pool then forgets it. */
  victim(): number;
}

/** No slot. */
export const NONE = -1;
