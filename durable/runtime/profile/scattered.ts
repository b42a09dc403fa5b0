/**
 * Measured decode points, wherever they lie, become a grid of 100 by 100 over KV usage (0 to 1) and context length (0 to the
 * longest), as Dynamo's planner has it (semantics §8.6): linear between three points that surround a place, the nearest point's
 * value outside of all of them. Both axes are scaled to 1 first, because a context is thousands and a usage a fraction.
 * (Dynamo interpolates by cubics without scaling; docs/decisions/0023 says how far apart the two are.)
 *
 * Cost: a triangulation, then for each of the 10,000 places the triangles over it or a look at all points.
 */

import Delaunator from 'delaunator';

/** Places along each axis. */
const GRID_PLACES = 100;

export interface ScatteredPoints {
  /** Share of the KV memory in use; of the same length as all others. */
  kvUsage: readonly number[];
  contextTokens: readonly number[];
  itlMs: readonly number[];
  tokensPerSecondPerGpu: readonly number[];
}

export interface GridTables {
  kvUsage: number[];
  contextTokens: number[];
  /** By KV usage, then by context. */
  itlMs: number[][];
  tokensPerSecondPerGpu: number[][];
}

/** A point in scaled axes, and which measurement it is. */
interface Place {
  x: number;
  y: number;
  of: number;
}

/** At least one point; all numbers finite, contexts above 0. */
export function gridOfPoints(points: ScatteredPoints): GridTables {
  const longest = Math.max(...points.contextTokens);
  const places = surrounded(
    points.kvUsage.map((x, of) => ({ x, y: points.contextTokens[of]! / longest, of })),
  );
  const mixes = mixesOf(places);
  const table = (values: readonly number[]) =>
    mixes.map((row) => row.map((mix) => mix.reduce((sum, { of, share }) => sum + share * values[of]!, 0)));
  const steps = Array.from({ length: GRID_PLACES }, (_, i) => i / (GRID_PLACES - 1));
  return {
    kvUsage: steps,
    contextTokens: steps.map((step) => step * longest),
    itlMs: table(points.itlMs),
    tokensPerSecondPerGpu: table(points.tokensPerSecondPerGpu),
  };
}

/** Points of one context only, or of one usage only, span no triangle: they are taken to hold across the other axis. */
function surrounded(places: Place[]): readonly Place[] {
  const [first] = places;
  if (places.every(({ y }) => y === first!.y))
    return places.flatMap((at) => [
      { ...at, y: 0 },
      { ...at, y: 1 },
    ]);
  if (places.every(({ x }) => x === first!.x))
    return places.flatMap((at) => [
      { ...at, x: 0 },
      { ...at, x: 1 },
    ]);
  return places;
}

type Mix = { of: number; share: number }[];

/** What each place of the grid is made of, by KV usage, then by context. */
function mixesOf(places: readonly Place[]): Mix[][] {
  const mixes: (Mix | null)[][] = Array.from({ length: GRID_PLACES }, () =>
    new Array<Mix | null>(GRID_PLACES).fill(null),
  );
  const { triangles } = Delaunator.from(
    [...places],
    ({ x }) => x,
    ({ y }) => y,
  );
  for (let at = 0; at < triangles.length; at += 3) {
    paint(mixes, [places[triangles[at]!]!, places[triangles[at + 1]!]!, places[triangles[at + 2]!]!]);
  }
  return mixes.map((row, ix) =>
    row.map((mix, iy) => mix ?? nearest(places, ix / (GRID_PLACES - 1), iy / (GRID_PLACES - 1))),
  );
}

/** Rounding must not open a gap between two triangles. */
const EDGE = -1e-9;

function paint(mixes: (Mix | null)[][], [a, b, c]: readonly [Place, Place, Place]): void {
  const area = (b.x - a.x) * (c.y - a.y) - (c.x - a.x) * (b.y - a.y);
  if (area === 0) return;
  const range = (...values: number[]): [number, number] => [
    Math.max(0, Math.floor(Math.min(...values) * (GRID_PLACES - 1))),
    Math.min(GRID_PLACES - 1, Math.ceil(Math.max(...values) * (GRID_PLACES - 1))),
  ];
  const [fromX, toX] = range(a.x, b.x, c.x);
  const [fromY, toY] = range(a.y, b.y, c.y);
  for (let ix = fromX; ix <= toX; ix++) {
    for (let iy = fromY; iy <= toY; iy++) {
      const [x, y] = [ix / (GRID_PLACES - 1), iy / (GRID_PLACES - 1)];
      const ofB = ((x - a.x) * (c.y - a.y) - (c.x - a.x) * (y - a.y)) / area;
      const ofC = ((b.x - a.x) * (y - a.y) - (x - a.x) * (b.y - a.y)) / area;
      const ofA = 1 - ofB - ofC;
      if (ofA < EDGE || ofB < EDGE || ofC < EDGE) continue;
      mixes[ix]![iy] = [
        { of: a.of, share: ofA },
        { of: b.of, share: ofB },
        { of: c.of, share: ofC },
      ];
    }
  }
}

function nearest(places: readonly Place[], x: number, y: number): Mix {
  let best = places[0]!;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const place of places) {
    const distance = (place.x - x) ** 2 + (place.y - y) ** 2;
    if (distance >= bestDistance) continue;
    best = place;
    bestDistance = distance;
  }
  return [{ of: best.of, share: 1 }];
}
