/**
 * What a KV block is called: the hashes of semantics §2 as 64-bit numbers, and its place in its sequence.
 *
 * Whoever has this can tell others of the block (a stored event wants parent and local hash), which is why every tier
 * keeps it, on disk and in object stores too.
 */

export interface BlockIdentity {
  /** Sequence hash: of the block and all before it. */
  readonly hash: bigint;
  /** Sequence hash of the block before; null for the first. */
  readonly parent: bigint | null;
  /** Local hash: of the block's own tokens. */
  readonly tokensHash: bigint;
  /** 0 for the first block of a sequence. */
  readonly position: number;
}

/** A sequence's hashes as pairs of u32 words (low, high): what BlockPath and packed little-endian u64 are. */
export interface HashPath {
  readonly sequenceHashes: Uint32Array;
  readonly localHashes: Uint32Array;
}

/** Blocks `from` to `to` (exclusive) of a sequence. */
export function blocksOf(path: HashPath, from: number, to: number): BlockIdentity[] {
  const hash = (words: Uint32Array, at: number) =>
    (BigInt(words[2 * at + 1]!) << 32n) | BigInt(words[2 * at]!);
  const blocks: BlockIdentity[] = [];
  for (let i = from; i < to; i++) {
    blocks.push({
      hash: hash(path.sequenceHashes, i),
      parent: i === 0 ? null : hash(path.sequenceHashes, i - 1),
      tokensHash: hash(path.localHashes, i),
      position: i,
    });
  }
  return blocks;
}
