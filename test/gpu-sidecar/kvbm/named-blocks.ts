/** Blocks of words over a small alphabet: equal prefixes are equal blocks, and each has bytes of its own. */

import type { BlockIdentity, HashPath } from '../../../gpu-sidecar/kvbm/block.ts';
import type { BlockLayout } from '../../../gpu-sidecar/kvbm/layout.ts';
import { blockChecksum } from '../../../gpu-sidecar/kvbm/tiers/checksum.ts';
import type { BlockDescription } from '../../../gpu-sidecar/kvbm/tiers/tier-store.ts';

/** Of a model that there is not: 20,480 bytes a block. */
export const LAYOUT: BlockLayout = {
  model: 'stator-tiny@1',
  format: 'test-1',
  dtype: 'f16',
  layers: 5,
  kvHeads: 1,
  keyHeadSize: 64,
  valueHeadSize: 64,
  blockSizeTokens: 16,
  overheadBytes: 0,
};

/** The hash of a prefix; equal prefixes have equal ones in all runs. */
function hashOf(prefix: string): bigint {
  return blockChecksum(0n, new TextEncoder().encode(prefix));
}

/** Block i is named after the first i + 1 letters. */
export function blocksOfWord(word: string): BlockIdentity[] {
  return Array.from(word, (_, position) => ({
    hash: hashOf(word.slice(0, position + 1)),
    parent: position === 0 ? null : hashOf(word.slice(0, position)),
    tokensHash: hashOf(`tokens ${word[position]}`),
    position,
  }));
}

/** The same as an engine has it. */
export function pathOfWord(word: string): HashPath {
  const blocks = blocksOfWord(word);
  const words = (hashes: bigint[]) => new Uint32Array(BigUint64Array.from(hashes).buffer);
  return {
    sequenceHashes: words(blocks.map(({ hash }) => hash)),
    localHashes: words(blocks.map(({ tokensHash }) => tokensHash)),
  };
}

/** What an engine would have computed for this block. */
export function bytesOf({ hash }: BlockIdentity, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = Number((hash >> BigInt(8 * (i % 8))) & 0xffn) ^ (i >> 3);
  return bytes;
}

export function describedBlock(identity: BlockIdentity, length: number): BlockDescription {
  return { identity, checksum: blockChecksum(identity.hash, bytesOf(identity, length)) };
}
