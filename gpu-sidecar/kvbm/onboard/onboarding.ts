/** Blocks in host memory for an engine to import, held until it has; `using` lets go of them. */

import type { BlockIdentity } from '../block.ts';
import type { BlockHold } from '../block-pool.ts';

export interface OnboardedBlock {
  readonly identity: BlockIdentity;
  /** Good until the onboarding ends; not to be written. */
  readonly bytes: Uint8Array;
}

export class Onboarding implements Disposable {
  /** From the first asked for on, without a gap. */
  readonly blocks: readonly OnboardedBlock[];
  readonly #holds: readonly BlockHold[];

  constructor(holds: readonly BlockHold[], bytesOf: (hold: BlockHold) => Uint8Array) {
    this.#holds = holds;
    this.blocks = holds.map((hold) => ({ identity: hold.described.identity, bytes: bytesOf(hold) }));
  }

  /** Last block first, so that beginnings are the younger ones. */
  [Symbol.dispose](): void {
    for (const hold of this.#holds.toReversed()) hold[Symbol.dispose]();
  }
}
