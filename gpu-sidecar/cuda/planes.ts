/**
 * Where the vectors of a paged KV cache lie, and how a block of them looks when they lie together.
 *
 * A cache is a list of planes, one for the keys and one for the values of each layer. In a plane the vector of a token's head is at
 * cell × `tokenStride` + head × `headStride`; a token's cell is whatever the engine gave it. A block outside the cache is
 * [plane][token][head][byte] without gaps. That covers caches that are one allocation ([layer][k|v][token][head], either order of
 * token and head) and those with an allocation per layer (llama.cpp), keys and values of different sizes, and one plane a
 * layer where both share a latent vector. Sizes and strides are in bytes, so the dtype does not matter.
 */

import { StatorError } from '../../durable/runtime/errors.ts';

export interface Plane {
  /** Device address, or offset in host memory. */
  readonly base: bigint;
  readonly tokenStride: number;
  readonly headStride: number;
  /** Bytes of one head's vector. */
  readonly vectorBytes: number;
}

export interface CacheLayout {
  readonly planes: readonly Plane[];
  readonly heads: number;
  /** Cells of each plane. */
  readonly cells: number;
  readonly blockSizeTokens: number;
}

/** How the cells of one allocation follow each other. */
export interface UniformCache {
  readonly base: bigint;
  readonly layers: number;
  readonly heads: number;
  readonly cells: number;
  readonly keyVectorBytes: number;
  /** 0: no values. */
  readonly valueVectorBytes: number;
  readonly blockSizeTokens: number;
  readonly order: 'token-head' | 'head-token';
}

/** The layout of a cache that is one allocation, [layer][k|v] and then as `order` says; its size is `cacheBytes`. */
export function uniformLayout(cache: UniformCache): CacheLayout {
  const { heads, cells, order, blockSizeTokens } = cache;
  let base = cache.base;
  const planes = Array.from({ length: cache.layers }, () =>
    [cache.keyVectorBytes, cache.valueVectorBytes]
      .filter((bytes) => bytes > 0)
      .map((vectorBytes) => {
        const tokens = order === 'token-head';
        const plane = {
          base,
          tokenStride: tokens ? heads * vectorBytes : vectorBytes,
          headStride: tokens ? vectorBytes : cells * vectorBytes,
          vectorBytes,
        };
        base += BigInt(cells * heads * vectorBytes);
        return plane;
      }),
  ).flat();
  return { planes, heads, cells, blockSizeTokens };
}

/** Bytes of a uniform cache. */
export const cacheBytes = (cache: UniformCache): number =>
  cache.layers * cache.cells * cache.heads * (cache.keyVectorBytes + cache.valueVectorBytes);

/** Bytes of a block that lies together. */
export const gatheredBytes = ({ planes, heads, blockSizeTokens }: CacheLayout): number =>
  blockSizeTokens * heads * planes.reduce((sum, { vectorBytes }) => sum + vectorBytes, 0);

/** Throws `internal` for a cell that the cache does not have, a cell twice, or not one a token: a kernel would write anywhere. */
export function requireCells(layout: CacheLayout, cells: Uint32Array): void {
  if (cells.length !== layout.blockSizeTokens) {
    throw new StatorError(
      'internal',
      `${cells.length} cells for a block of ${layout.blockSizeTokens} tokens`,
    );
  }
  const seen = new Set<number>();
  for (const cell of cells) {
    if (cell >= layout.cells) throw new StatorError('internal', `cell ${cell} of ${layout.cells}`);
    if (seen.has(cell)) throw new StatorError('internal', `cell ${cell} holds two tokens`);
    seen.add(cell);
  }
}

/** Widest piece, of 16, 4 and 1 bytes, in which every vector can be copied. */
export function pieceBytes({ planes }: CacheLayout, blocks: readonly bigint[]): 1 | 4 | 16 {
  for (const wide of [16, 4] as const) {
    const fits = (value: bigint | number): boolean => BigInt(value) % BigInt(wide) === 0n;
    const even = (plane: Plane): boolean =>
      fits(plane.base) && fits(plane.tokenStride) && fits(plane.headStride) && fits(plane.vectorBytes);
    if (planes.every(even) && blocks.every(fits)) return wide;
  }
  return 1;
}
