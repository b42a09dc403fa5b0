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

  /** All blocks, parents first, in pieces of about `maxBlocks`. */
  dump(maxBlocks: number): StoredPath[][] {
    const pieces: StoredPath[][] = [];
    let cursor = 0;
    do {
      const piece = this.#index.dump(SELF, { cursor, maxBlocks });
      // The words are a view on memory that the next call writes.
      pieces.push([...dumpEvents(piece.words.slice())]);
      cursor = piece.cursor;
    } while (cursor !== dumpDone);
    return pieces;
  }
}
