/** Is the grid between measured points the one that SciPy makes, and is there one however few points there are? */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { profileTables } from '../../../../durable/runtime/profile/profile-tables.ts';
import { gridOfPoints } from '../../../../durable/runtime/profile/scattered.ts';
import { readProfile } from '../../../../gpu-sidecar/profile-files/profile-file.ts';

const FIXTURES = join(import.meta.dirname, '..', '..', '..', 'fixtures', 'profiles');

interface Place {
  at: [number, number];
  /** null: outside of all points. */
  linear: number | null;
  cubic: number;
}

test("between the points it is SciPy's griddata, and nowhere far from the cubics that Dynamo takes", () => {
  const places = JSON.parse(readFileSync(join(FIXTURES, 'gridded.json'), 'utf8')) as Place[];
  const { itlMs } = profileTables(readProfile(join(FIXTURES, 'planner'))).decode;
  const inside = places.filter(({ linear }) => linear !== null);
  expect(inside.length).toBeGreaterThan(50);
  // Where a square of points can be cut along either diagonal, we and SciPy may differ.
  const off = inside.map(({ at: [i, j], linear }) => Math.abs(itlMs[i]![j]! / linear! - 1));
  expect(off.filter((each) => each < 1e-9).length).toBeGreaterThan(0.9 * inside.length);
  expect(Math.max(...off)).toBeLessThan(0.02);
  const fromCubic = inside.map(({ at: [i, j], cubic }) => Math.abs(itlMs[i]![j]! / cubic - 1));
  expect(fromCubic.reduce((sum, each) => sum + each, 0) / inside.length).toBeLessThan(0.01);
});

test('one context holds for all of them, one usage for all, one point for everything', () => {
  const of = (kvUsage: number[], contextTokens: number[], itlMs: number[]) =>
    gridOfPoints({ kvUsage, contextTokens, itlMs, tokensPerSecondPerGpu: itlMs }).itlMs;
  const line = of([0, 1], [500, 500], [10, 109]);
  expect(line[33]![0]).toBeCloseTo(43, 9);
  expect(line[33]![99]).toBeCloseTo(43, 9);
  const rise = of([0.5, 0.5], [100, 1_000], [10, 100]);
  expect(rise[0]![99]).toBeCloseTo(100, 9);
  expect(rise[99]![55]).toBeCloseTo(55.555_555, 4);
  expect(of([0.3], [70], [8])[99]![99]).toBe(8);
});

test('every place lies between the least and the most that was measured', () => {
  const point = fc.record({
    kvUsage: fc.double({ min: 0, max: 1.2, noNaN: true }),
    contextTokens: fc.integer({ min: 1, max: 100_000 }),
    itlMs: fc.double({ min: 0.1, max: 1e4, noNaN: true }),
  });
  fc.assert(
    fc.property(fc.array(point, { minLength: 1, maxLength: 12 }), (points) => {
      const column = <K extends keyof (typeof points)[number]>(key: K) => points.map((each) => each[key]);
      const itlMs = column('itlMs');
      const { kvUsage, contextTokens } = {
        kvUsage: column('kvUsage'),
        contextTokens: column('contextTokens'),
      };
      const grid = gridOfPoints({ kvUsage, contextTokens, itlMs, tokensPerSecondPerGpu: itlMs });
      const [least, most] = [Math.min(...itlMs), Math.max(...itlMs)];
      const isWithin = (value: number) => value >= least * (1 - 1e-6) && value <= most * (1 + 1e-6);
      expect(grid.itlMs.flat().filter((value) => !isWithin(value))).toEqual([]);
    }),
    { numRuns: 30 },
  );
});
