/** G2 as the manager sees it: a pool of blocks over an arena of host memory. Blocks for other tiers pass through it. */

import type { BlockHold, BlockPool } from '../block-pool.ts';
import type { HostArena } from './host-arena.ts';

export class HostTier {
  readonly pool: BlockPool;
  readonly arena: HostArena;

  constructor(pool: BlockPool, arena: HostArena) {
    this.pool = pool;
    this.arena = arena;
  }

  /** The bytes of a slot that the caller holds. */
  bytes({ slot }: { slot: number }): Uint8Array {
    return this.arena.block(slot);
  }

  /** Counts as a use of a block that is there. */
  touch(hash: bigint): BlockHold | null {
    const hold = this.pool.hold(hash);
    hold?.[Symbol.dispose]();
    return hold;
  }

  close(): void {
    this.arena.close();
  }
}
