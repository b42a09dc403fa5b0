/** Any paged cache and any blocks of it, and the naive way to gather one: byte by byte, by the definition in `planes.ts`. */

import fc from 'fast-check';
import {
  type CacheLayout,
  gatheredBytes,
  type UniformCache,
  uniformLayout,
} from '../../../gpu-sidecar/cuda/planes.ts';

export const aCache: fc.Arbitrary<UniformCache> = fc.record({
  base: fc.constantFrom(0n, 16n, 4n, 3n),
  layers: fc.integer({ min: 1, max: 4 }),
  heads: fc.integer({ min: 1, max: 4 }),
  cells: fc.integer({ min: 16, max: 40 }),
  keyVectorBytes: fc.constantFrom(1, 4, 16, 20, 64, 256),
  valueVectorBytes: fc.constantFrom(0, 4, 16, 34, 128),
  blockSizeTokens: fc.integer({ min: 1, max: 8 }),
  order: fc.constantFrom('token-head', 'head-token'),
});

/** Cells of some blocks that share none: what a shuffled list of all cells begins with. */
export function cellsOf(
  { cells, blockSizeTokens }: UniformCache,
  blocks: number,
  seed: number,
): Uint32Array[] {
  const order = Array.from({ length: cells }, (_, i) => i);
  let state = seed >>> 0;
  for (let i = cells - 1; i > 0; i--) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const j = state % (i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return Array.from({ length: blocks }, (_, i) =>
    Uint32Array.from(order.slice(i * blockSizeTokens, (i + 1) * blockSizeTokens)),
  );
}

export const noise = (length: number, seed: number): Uint8Array => {
  const bytes = new Uint8Array(length);
  let state = seed | 1;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[i] = state >>> 16;
  }
  return bytes;
};

/** Byte i of the gathered block is byte `where(i)` of the cache. */
export function gatherNaively(cache: UniformCache, bytes: Uint8Array, cells: Uint32Array): Uint8Array {
  const out: number[] = [];
  let plane = Number(cache.base);
  for (let layer = 0; layer < cache.layers; layer++) {
    for (const vector of [cache.keyVectorBytes, cache.valueVectorBytes]) {
      for (let token = 0; token < cells.length; token++) {
        for (let head = 0; head < cache.heads; head++) {
          const row =
            cache.order === 'token-head'
              ? cells[token]! * cache.heads + head
              : head * cache.cells + cells[token]!;
          for (let byte = 0; byte < vector; byte++) out.push(bytes[plane + row * vector + byte]!);
        }
      }
      plane += cache.cells * cache.heads * vector;
    }
  }
  return Uint8Array.from(out);
}

export const layoutOf = (cache: UniformCache): { layout: CacheLayout; blockBytes: number } => {
  const layout = uniformLayout(cache);
  return { layout, blockBytes: gatheredBytes(layout) };
};
