/** Checksums: the same whoever makes them, at once or aside. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { xxh3 } from '#wasm/tokens';
import {
  blockChecksum,
  blockChecksumAside,
  ChecksumInPieces,
} from '../../../../gpu-sidecar/kvbm/tiers/checksum.ts';

test('equal to the wasm module for every length and seed', () => {
  const seed = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3_000 }), seed, (bytes, hash) => {
      expect(blockChecksum(hash, bytes)).toBe(xxh3(bytes, hash));
    }),
  );
});

test('large blocks aside from the event loop, several at once', async () => {
  const blocks = [1, 2, 3, 4, 5].map((fill) => new Uint8Array(1_100_000).fill(fill));
  const sums = await Promise.all(blocks.map((bytes, i) => blockChecksumAside(BigInt(i), bytes)));
  expect(sums).toEqual(blocks.map((bytes, i) => xxh3(bytes, BigInt(i))));
});

test('of a block that comes in pieces of any length, several at a time', () => {
  const seed = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  const block = fc.record({
    bytes: fc.uint8Array({ maxLength: 3_000 }),
    hash: seed,
    cuts: fc.array(fc.nat(3_000), { maxLength: 4 }),
  });
  fc.assert(
    fc.property(fc.array(block, { minLength: 1, maxLength: 3 }), (blocks) => {
      const sums = blocks.map(({ hash, bytes }) => new ChecksumInPieces(hash, bytes));
      for (let i = 0; i < 4; i++) {
        for (const [at, { bytes, cuts }] of blocks.entries()) {
          const cut = [...cuts].sort((a, b) => a - b)[i];
          if (cut !== undefined) sums[at]!.add(Math.min(cut, bytes.length));
        }
      }
      for (const [at, { bytes, hash }] of blocks.entries()) {
        sums[at]!.add(bytes.length);
        expect(sums[at]!.end()).toBe(xxh3(bytes, hash));
      }
    }),
  );
});
