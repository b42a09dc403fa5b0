/** A block in host memory that another process may read: it stays, unchanged, until it is let go of (`using`). */

import type { BlockIdentity } from '../block.ts';
import type { BlockHold } from '../block-pool.ts';

export class ServedBlock implements Disposable {
  readonly identity: BlockIdentity;
  /** Of its bytes, seeded with its hash (`tiers/checksum.ts`). */
  readonly checksum: bigint;
  /** Which block of the arena it is. */
  readonly slot: number;
  /** Good until it is let go of; not to be written. */
  readonly bytes: Uint8Array;
  readonly #hold: BlockHold;

  constructor(hold: BlockHold, bytes: Uint8Array) {
    this.identity = hold.described.identity;
    this.checksum = hold.described.checksum;
    this.slot = hold.slot;
    this.bytes = bytes;
    this.#hold = hold;
  }

  /** A second time does nothing. */
  [Symbol.dispose](): void {
    this.#hold[Symbol.dispose]();
  }
}
