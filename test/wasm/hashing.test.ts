// Are block hashes, sequence hashes, seeds and lineage hashes bit for bit those of Dynamo? All vectors of semantics §2.5.

import { describe, expect, test } from 'vitest';

import { BlockHasher, objectHash, seed, xxh3 } from '../../wasm/load/node/tokens.ts';
import { bigints, fixture, words } from './bytes.ts';

interface Vectors {
  readonly cases: readonly {
    readonly name: string;
    readonly block_size: number;
    readonly tokens: readonly number[];
    readonly lora: string | null;
    readonly cache_namespace: string | null;
    readonly is_eagle: boolean | null;
    readonly mm: readonly (readonly string[] | null)[] | null;
    readonly local_block_hashes: readonly string[];
    readonly sequence_hashes: readonly string[];
  }[];
  readonly raw_xxh3: readonly { readonly utf8: string; readonly seed: number; readonly xxh3_64: string }[];
  readonly salts: readonly {
    readonly lora: string | null;
    readonly salt: string | null;
    readonly seed: string;
  }[];
  readonly mm_identifier: readonly { readonly id: string; readonly hash: string | null }[];
  readonly plh_t0_31_bs16: readonly { readonly plh_hex: string }[];
  readonly chain_step: { readonly parent: string; readonly block: string; readonly next: string };
}

const file = fixture('hash_vectors.json');
const vectors = JSON.parse(file) as Vectors;
const framed = (JSON.parse(file) as Record<string, { block_hash: string; sequence_hash: string }[]>)[
  'kvbm_mm_frames_t0_31_bs16_mm(0xDEADBEEF,off12,len8)'
];

describe('hash vectors', () => {
  test.each(vectors.cases)('$name', (c) => {
    using hasher = new BlockHasher();
    const objects = (c.mm ?? []).flatMap((hashes, block) =>
      (hashes ?? []).map((hash) => ({ block, hash: BigInt(hash) })),
    );
    const options = {
      blockSize: c.block_size,
      seed: seed({ lora: c.lora ?? undefined, namespace: c.cache_namespace ?? undefined }),
      eagle: c.is_eagle ?? false,
    };
    expect(bigints(hasher.hash(Uint32Array.from(c.tokens), options, objects)).map(String)).toEqual(
      c.local_block_hashes,
    );
    expect(bigints(hasher.sequenceHashes()).map(String)).toEqual(c.sequence_hashes);
  });

  test.each(vectors.raw_xxh3)('xxh3 of "$utf8" with seed $seed', ({ utf8, seed, xxh3_64 }) => {
    expect(String(xxh3(new TextEncoder().encode(utf8), BigInt(seed)))).toBe(xxh3_64);
  });

  test('one step of the chain', () => {
    const { parent, block, next } = vectors.chain_step;
    expect(String(xxh3(words(BigInt(parent), BigInt(block)), 1337n))).toBe(next);
  });

  test.each(vectors.salts)('seed of lora $lora, namespace $salt', ({ lora, salt, seed: wanted }) => {
    expect(String(seed({ lora: lora ?? undefined, namespace: salt ?? undefined }))).toBe(wanted);
  });

  test.each(vectors.mm_identifier)('object hash of "$id"', ({ id, hash }) => {
    expect(objectHash(id)?.toString() ?? null).toBe(hash);
  });

  test('lineage hashes', () => {
    using hasher = new BlockHasher();
    hasher.hash(
      Array.from({ length: 32 }, (_, i) => i),
      { blockSize: 16 },
    );
    const bytes = hasher.lineageHashes();
    const hex = vectors.plh_t0_31_bs16.map((_, i) =>
      Buffer.from(bytes.subarray(16 * i, 16 * i + 16)).toString('hex'),
    );
    expect(hex.map((digits) => `0x${digits}`)).toEqual(vectors.plh_t0_31_bs16.map(({ plh_hex }) => plh_hex));
  });

  test('framed blocks with a placeholder run', () => {
    using hasher = new BlockHasher();
    const tokens = Array.from({ length: 32 }, (_, i) => i);
    const hashes = hasher.hashFramed(tokens, { blockSize: 16 }, [
      { offset: 12, length: 8, hash: 0xdead_beefn },
    ]);
    expect(bigints(hashes).map(String)).toEqual(framed?.map(({ block_hash }) => block_hash));
    expect(bigints(hasher.sequenceHashes()).map(String)).toEqual(
      framed?.map(({ sequence_hash }) => sequence_hash),
    );
  });

  test('a block size of 0 has no blocks', () => {
    using hasher = new BlockHasher();
    expect(hasher.hash([1, 2, 3], { blockSize: 0 })).toHaveLength(0);
    expect(hasher.hash([], { blockSize: 4, eagle: true })).toHaveLength(0);
  });
});
