/**
 * The blocks that this worker holds: what a router gets that knows nothing of us. The same index that the router
 * itself uses, with one slot, so that a dump is exactly what its events would have built.
 */

import { dumpDone, dumpEvents, RadixIndex } from '#wasm/radix';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { StorageTier } from '../proto/gen/stator/v1/fleet_pb.js';

/** A path of blocks, as in KvStored: packed little-endian u64. */
export interface StoredPath {
  /** null at the root. */
  parentHash: Uint8Array | null;
  blockHashes: Uint8Array;
  tokensHashes: Uint8Array;
}

/** Some blocks of one tier. */
export interface DumpPiece {
  tier: StorageTier;
  paths: StoredPath[];
}

const SELF = 0;
const { DEVICE, HOST_PINNED, DISK, EXTERNAL } = StorageTier;
/** In the order in which parents come before their children. */
const TIERS = [DEVICE, HOST_PINNED, DISK, EXTERNAL] as const;

export class LocalIndex {
  readonly #index = new RadixIndex({ capacityBytes: LIMITS.indexBytes });

  /** On the device. */
  get blocks(): number {
    return this.#index.slotBlocks(SELF);
  }

  stored(path: StoredPath, tier: StorageTier): void {
    this.#index.store(SELF, path, tier);
  }

  removed(blockHashes: Uint8Array, tier: StorageTier): void {
    this.#index.remove(SELF, blockHashes, tier);
  }

  cleared(): void {
    this.#index.clear(SELF);
  }

  /**
   * All blocks, parents first, in pieces of at most `maxBlocks`. Events may come between pieces: replaying those since the
   * beginning on top gives the exact state. Another dump ends this one early.
   */
  *dump(maxBlocks: number): Generator<DumpPiece> {
    for (const tier of TIERS) {
      if (tier !== DEVICE && this.#index.slotBlocks(SELF, tier) === 0) continue;
      let cursor = 0;
      do {
        const piece = this.#index.dump(SELF, { tier, cursor, maxBlocks });
        cursor = piece.cursor;
        // The words are a view on memory that the next call writes.
        yield { tier, paths: [...dumpEvents(piece.words.slice())] };
      } while (cursor !== dumpDone);
    }
  }
}
