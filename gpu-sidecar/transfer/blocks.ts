/**
 * What a transfer wants of the KV memory at either end; `KvBlockManager` has these, and nothing else of it is used here.
 *
 * The serving end holds a block while its bytes are being pushed and no longer. The reading end has a slot per block that is on
 * its way; `complete` makes it a block of the pool, and letting go without that gives the slot back.
 */

import type { BlockIdentity } from '../kvbm/block.ts';
import type { BlockLayout } from '../kvbm/layout.ts';

/** A block in host memory, held until it is disposed of. */
export interface ServedBlock extends Disposable {
  readonly identity: BlockIdentity;
  readonly bytes: Uint8Array;
  readonly slot: number;
  /** XXH3-64 seeded with the sequence hash (`kvbm/tiers/checksum.ts`). */
  readonly checksum: bigint;
}

/** A slot that waits for the bytes of a block. */
export interface ReceivingBlock extends Disposable {
  readonly bytes: Uint8Array;
  readonly slot: number;
  complete(checksum: bigint): void;
}

export interface BlockServer {
  readonly layout: BlockLayout;
  /** When it is in host memory now. */
  hold(hash: bigint): ServedBlock | null;
  /** As soon as it is there; null on abort or when it can never come. */
  whenHeld(block: BlockIdentity, signal: AbortSignal): Promise<ServedBlock | null>;
}

export interface BlockReceiver {
  readonly layout: BlockLayout;
  /** null: no room. */
  receive(block: BlockIdentity): ReceivingBlock | 'present' | null;
}
