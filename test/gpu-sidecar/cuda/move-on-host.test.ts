/** Blocks out of and into a paged cache in host memory, against the definition byte by byte. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gatherOnHost, scatterOnHost } from '../../../gpu-sidecar/cuda/move-on-host.ts';
import { cacheBytes, pieceBytes } from '../../../gpu-sidecar/cuda/planes.ts';
import { aCache, cellsOf, gatherNaively, layoutOf, noise } from './cache-cases.ts';

const cache = {
  base: 0n,
  layers: 1,
  heads: 2,
  cells: 8,
  keyVectorBytes: 4,
  valueVectorBytes: 4,
  blockSizeTokens: 2,
  order: 'token-head',
} as const;

describe('blocks moved by the CPU', () => {
  it('are what the definition says, byte by byte', () => {
    fc.assert(
      fc.property(aCache, fc.nat(), (shape, seed) => {
        const { layout, blockBytes } = layoutOf(shape);
        const bytes = noise(Number(shape.base) + cacheBytes(shape), seed);
        const [cells] = cellsOf(shape, 1, seed);
        const block = new Uint8Array(blockBytes);
        gatherOnHost(layout, bytes, { cells: cells!, block });
        expect(Buffer.compare(block, gatherNaively(shape, bytes, cells!))).toBe(0);
      }),
    );
  });

  it('come back as they went, into other cells, and touch nothing else', () => {
    fc.assert(
      fc.property(aCache, fc.nat(), (shape, seed) => {
        const { layout, blockBytes } = layoutOf(shape);
        const length = Number(shape.base) + cacheBytes(shape);
        const bytes = noise(length, seed);
        const [from, to] = cellsOf(shape, 2, seed);
        const block = new Uint8Array(blockBytes);
        gatherOnHost(layout, bytes, { cells: from!, block });
        const other = noise(length, seed + 1);
        const before = other.slice();
        const kept = new Uint8Array(blockBytes);
        gatherOnHost(layout, other, { cells: to!, block: kept });
        scatterOnHost(layout, other, { cells: to!, block });
        expect(Buffer.compare(gatherNaively(shape, other, to!), block)).toBe(0);
        scatterOnHost(layout, other, { cells: to!, block: kept });
        expect(Buffer.compare(other, before)).toBe(0);
      }),
    );
  });

  it('are refused for cells that are not there, not enough, or used twice', () => {
    const { layout, blockBytes } = layoutOf(cache);
    const bytes = new Uint8Array(cacheBytes(cache));
    const block = new Uint8Array(blockBytes);
    const move = (...cells: number[]) =>
      gatherOnHost(layout, bytes, { cells: Uint32Array.from(cells), block });
    expect(() => move(0, 8)).toThrow('cell 8 of 8');
    expect(() => move(0)).toThrow('1 cells for a block of 2 tokens');
    expect(() => move(5, 5)).toThrow('cell 5 holds two tokens');
    const short = { cells: Uint32Array.of(0, 1), block: block.subarray(1) };
    expect(() => gatherOnHost(layout, bytes, short)).toThrow('a block has 32 bytes, not 31');
  });
});

describe('the piece that a kernel copies at once', () => {
  it('is the widest that divides every address and length', () => {
    const of = (changes: object, blocks: bigint[] = [0n]) =>
      pieceBytes(layoutOf({ ...cache, keyVectorBytes: 64, valueVectorBytes: 64, ...changes }).layout, blocks);
    expect(of({})).toBe(16);
    expect(of({ base: 4n })).toBe(4);
    expect(of({ base: 2n })).toBe(1);
    expect(of({ valueVectorBytes: 20 })).toBe(4);
    expect(of({ valueVectorBytes: 34 })).toBe(1);
    expect(of({}, [0n, 8n])).toBe(4);
  });
});
