/**
 * Blocks out of and into a paged KV cache in host memory: what is done where there is no GPU, and what the kernels are compared
 * with. One `set` a run of vectors that lie together in the cache: half the speed of one copy for runs of 2 KiB, a third and less for
 * single vectors of 256 bytes (docs/decisions/0019).
 */

import { type CacheLayout, gatheredBytes, requireCells } from './planes.ts';

/** Copies the vectors of some cells, one a token of the block, into `block`. */
export function gatherOnHost(
  layout: CacheLayout,
  cache: Uint8Array,
  { cells, block }: { cells: Uint32Array; block: Uint8Array },
): void {
  check(layout, cells, block);
  eachRun(layout, cells, ({ inCache, inBlock, bytes }) => {
    block.set(cache.subarray(inCache, inCache + bytes), inBlock);
  });
}

/** The way back. */
export function scatterOnHost(
  layout: CacheLayout,
  cache: Uint8Array,
  { cells, block }: { cells: Uint32Array; block: Uint8Array },
): void {
  check(layout, cells, block);
  eachRun(layout, cells, ({ inCache, inBlock, bytes }) => {
    cache.set(block.subarray(inBlock, inBlock + bytes), inCache);
  });
}

interface Run {
  inCache: number;
  inBlock: number;
  bytes: number;
}

function eachRun(layout: CacheLayout, cells: Uint32Array, visit: (run: Run) => void): void {
  let inBlock = 0;
  for (const { base, tokenStride, headStride, vectorBytes } of layout.planes) {
    // A token's heads that lie together are one run.
    const together = headStride === vectorBytes;
    const runs = together ? 1 : layout.heads;
    const bytes = together ? layout.heads * vectorBytes : vectorBytes;
    for (const cell of cells) {
      for (let run = 0; run < runs; run++) {
        visit({ inCache: Number(base) + cell * tokenStride + run * headStride, inBlock, bytes });
        inBlock += bytes;
      }
    }
  }
}

function check(layout: CacheLayout, cells: Uint32Array, block: Uint8Array): void {
  requireCells(layout, cells);
  if (block.length !== gatheredBytes(layout))
    throw new RangeError(`a block has ${gatheredBytes(layout)} bytes, not ${block.length}`);
}
