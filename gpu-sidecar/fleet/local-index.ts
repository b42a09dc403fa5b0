/**
 * The blocks that this worker holds, with their parents: what a router gets that knows nothing of us.
 *
 * Cost: one map entry a block. A block whose parent is gone can be matched by nobody, so dumps leave it out.
 */

/** A path of blocks, as in KvStored: packed little-endian u64. */
export interface StoredPath {
  /** Empty at the root. */
  parentHash: Uint8Array;
  blockHashes: Uint8Array;
  tokensHashes: Uint8Array;
}

interface Block {
  /** null at the root. */
  parent: bigint | null;
  tokensHash: bigint;
}

export class LocalIndex {
  readonly #blocks = new Map<bigint, Block>();

  get size(): number {
    return this.#blocks.size;
  }

  stored(parentHash: Uint8Array | null, blockHashes: Uint8Array, tokensHashes: Uint8Array): void {
    const blocks = words(blockHashes);
    const tokens = words(tokensHashes);
    let parent = parentHash === null || parentHash.length === 0 ? null : words(parentHash)[0]!;
    for (let i = 0; i < blocks.length; i++) {
      const hash = blocks[i]!;
      this.#blocks.set(hash, { parent, tokensHash: tokens[i]! });
      parent = hash;
    }
  }

  removed(blockHashes: Uint8Array): void {
    for (const hash of words(blockHashes)) this.#blocks.delete(hash);
  }

  clear(): void {
    this.#blocks.clear();
  }

  /** All reachable blocks as paths of at most `maxBlocks`, parents first. */
  *paths(maxBlocks: number): Generator<StoredPath> {
    const told = new Set<bigint>();
    for (const hash of this.#blocks.keys()) {
      const path = this.#untoldPath(hash, told);
      if (path === null) continue;
      for (const step of path) told.add(step);
      let parent = this.#blocks.get(path[0]!)!.parent;
      for (let from = 0; from < path.length; from += maxBlocks) {
        const part = path.slice(from, from + maxBlocks);
        yield this.#stored(parent, part);
        parent = part.at(-1)!;
      }
    }
  }

  /** The ancestors of a block that were not told yet, the block last; null when it is told or unreachable. */
  #untoldPath(hash: bigint, told: ReadonlySet<bigint>): bigint[] | null {
    const path: bigint[] = [];
    let at: bigint | null = hash;
    while (at !== null && !told.has(at)) {
      const block = this.#blocks.get(at);
      if (block === undefined || path.length > this.#blocks.size) return null;
      path.push(at);
      at = block.parent;
    }
    return path.length === 0 ? null : path.reverse();
  }

  #stored(parent: bigint | null, path: readonly bigint[]): StoredPath {
    return {
      parentHash: parent === null ? new Uint8Array(0) : packed([parent]),
      blockHashes: packed(path),
      tokensHashes: packed(path.map((hash) => this.#blocks.get(hash)!.tokensHash)),
    };
  }
}

/** Packed words as numbers; copied, because bytes off the wire are not aligned. */
const words = (bytes: Uint8Array): BigUint64Array => new BigUint64Array(new Uint8Array(bytes).buffer);

const packed = (hashes: readonly bigint[]): Uint8Array => new Uint8Array(BigUint64Array.from(hashes).buffer);
