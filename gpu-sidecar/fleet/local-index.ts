/**
 * The blocks that this worker holds: what a router gets that knows nothing of us. The same index that the router
 * itself uses, with one slot, so that a dump is exactly what its events would have built.
 */

import { dumpDone, dumpEvents, RadixIndex } from '#wasm/radix';
import { LIMITS } from '../../durable/runtime/limits.ts';

/** A path of blocks, as in KvStored: packed little-endian u64. */
export interface StoredPath {
  /** null at the root. */
  parentHash: Uint8Array | null;
  blockHashes: Uint8Array;
  tokensHashes: Uint8Array;
}

const SELF = 0;

export class LocalIndex {
  readonly #index = new RadixIndex({ capacityBytes: LIMITS.indexBytes });

  get blocks(): number {
    return this.#index.slotBlocks(SELF);
  }

  stored(path: StoredPath): void {
    this.#index.store(SELF, path);
  }

  removed(blockHashes: Uint8Array): void {
    this.#index.remove(SELF, blockHashes);
  }

  cleared(): void {
    this.#index.clear(SELF);
  }

  /**
   * All blocks, parents first, in pieces of at most `maxBlocks`. Events may come between pieces: replaying those since the
   * beginning on top gives the exact state. Another dump ends this one early.
   */
  *dump(maxBlocks: number): Generator<StoredPath[]> {
    let cursor = 0;
    do {
      const piece = this.#index.dump(SELF, { cursor, maxBlocks });
      cursor = piece.cursor;
      // The words are a view on memory that the next call writes.
      yield [...dumpEvents(piece.words.slice())];
    } while (cursor !== dumpDone);
  }
}
