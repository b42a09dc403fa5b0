/**
 * Profile: what an engine was measured to do, as tables to look things up in. Read here and nowhere else, from data that nobody
 * has checked: a file of `stator profile`, Dynamo's arrays, or tables that a program made.
 *
 * Prefill is a line over the prompt's length. Decode comes as points wherever they were measured, or as a grid over KV usage and
 * context length whose holes (null) take the value of the nearest measured place; what leaves is a grid without holes.
 */

import * as z from 'zod';
import { StatorError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { gridOfPoints } from './scattered.ts';

const axis = z.array(z.number().nonnegative()).min(1).max(LIMITS.profilePoints);
const grid = z.array(z.array(z.number().nullable()).max(LIMITS.profilePoints)).max(LIMITS.profilePoints);
const measured = z.array(z.number().positive()).min(1).max(LIMITS.profileMeasurements);

const GRID = z.strictObject({
  maxKvTokens: z.number().positive(),
  /** Share of the KV memory in use, rising. */
  kvUsage: axis,
  contextTokens: axis,
  /** By KV usage, then by context; null: not measured. */
  itlMs: grid,
  tokensPerSecondPerGpu: grid,
});

const POINTS = z.strictObject({
  maxKvTokens: z.number().positive(),
  /** Arrays of one length: the same place in each is one measurement. */
  points: z.strictObject({
    kvUsage: z.array(z.number().nonnegative()).min(1).max(LIMITS.profileMeasurements),
    contextTokens: measured,
    itlMs: measured,
    tokensPerSecondPerGpu: measured,
    /** For people. */
    concurrency: measured.optional(),
  }),
});

const profileWith = <D extends z.ZodType>(decode: D) =>
  z.strictObject({
    format: z.literal('stator-profile').default('stator-profile'),
    version: z.literal(1).default(1),
    gpusPerWorker: z.number().int().min(1).default(1),
    /** What was measured, when and how: for people. */
    about: z.record(z.string(), z.unknown()).default({}),
    /** False: the measurement was ended early. */
    complete: z.boolean().default(true),
    prefill: z.strictObject({
      /** Prompt tokens, rising. */
      inputTokens: axis,
      ttftMs: axis,
      tokensPerSecondPerGpu: axis,
    }),
    decode,
  });

const GRID_PROFILE = profileWith(GRID);
const POINTS_PROFILE = profileWith(POINTS);

export type ProfileData = GridProfile | MeasuredProfile;
export type GridProfile = z.input<typeof GRID_PROFILE>;
export type MeasuredProfile = z.input<typeof POINTS_PROFILE>;

/** Checked; grids without holes, axes rising. */
export interface ProfileTables {
  readonly gpusPerWorker: number;
  readonly prefill: Readonly<z.output<typeof GRID_PROFILE>['prefill']>;
  readonly decode: {
    readonly maxKvTokens: number;
    readonly kvUsage: readonly number[];
    readonly contextTokens: readonly number[];
    readonly itlMs: readonly (readonly number[])[];
    readonly tokensPerSecondPerGpu: readonly (readonly number[])[];
  };
}

/** Throws `invalid_request` that says what is wrong with the data. */
export function profileTables(data: unknown): ProfileTables {
  if (hasPoints(data)) {
    const profile = parsed(POINTS_PROFILE, data);
    checkPrefill(profile.prefill);
    const { maxKvTokens, points } = profile.decode;
    for (const [name, values] of Object.entries(points)) {
      if (values !== undefined && values.length !== points.kvUsage.length) {
        throw invalid(
          `decode.points.${name}: ${values.length} values for ${points.kvUsage.length} of kvUsage`,
        );
      }
    }
    return {
      gpusPerWorker: profile.gpusPerWorker,
      prefill: profile.prefill,
      decode: { maxKvTokens, ...gridOfPoints(points) },
    };
  }
  const { gpusPerWorker, prefill, decode } = parsed(GRID_PROFILE, data);
  checkPrefill(prefill);
  checkRises('decode.kvUsage', decode.kvUsage);
  checkRises('decode.contextTokens', decode.contextTokens);
  const itlMs = filled('decode.itlMs', decode.itlMs, decode);
  const tokensPerSecondPerGpu = filled('decode.tokensPerSecondPerGpu', decode.tokensPerSecondPerGpu, decode);
  return { gpusPerWorker, prefill, decode: { ...decode, itlMs, tokensPerSecondPerGpu } };
}

/** Which of the two forms somebody meant, so that its errors are told. */
const hasPoints = (data: unknown): boolean =>
  typeof (data as { decode?: { points?: unknown } } | null)?.decode?.points === 'object';

function parsed<S extends z.ZodType>(schema: S, data: unknown): z.output<S> {
  const result = schema.safeParse(data);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0]!;
  throw invalid(`${path.join('.')}: ${message}`);
}

function checkPrefill(prefill: ProfileTables['prefill']): void {
  checkRises('prefill.inputTokens', prefill.inputTokens);
  for (const name of ['ttftMs', 'tokensPerSecondPerGpu'] as const) {
    if (prefill[name].length !== prefill.inputTokens.length) {
      throw invalid(
        `prefill.${name}: ${prefill[name].length} values for ${prefill.inputTokens.length} lengths`,
      );
    }
  }
}

function checkRises(name: string, points: readonly number[]): void {
  const at = points.findIndex((point, i) => i > 0 && point <= points[i - 1]!);
  if (at > 0) throw invalid(`${name}: ${points[at]} follows ${points[at - 1]}; the points must rise`);
}

/** The grid without holes: each takes the value of the nearest measured point, counted in steps along both axes. */
function filled(
  name: string,
  holed: readonly (readonly (number | null)[])[],
  { kvUsage, contextTokens }: { kvUsage: readonly number[]; contextTokens: readonly number[] },
): number[][] {
  const isShaped =
    holed.length === kvUsage.length && holed.every((row) => row.length === contextTokens.length);
  if (!isShaped) throw invalid(`${name}: want ${kvUsage.length} rows of ${contextTokens.length} values`);
  const known = holed.flatMap((row, y) =>
    row.flatMap((value, x) => (value === null ? [] : [{ x, y, value }])),
  );
  if (known.length === 0) throw invalid(`${name}: nothing but holes`);
  if (known.some(({ value }) => value <= 0)) throw invalid(`${name}: values must be above 0`);
  const distance = (x: number, y: number) => (point: { x: number; y: number }) =>
    (point.x - x) ** 2 + (point.y - y) ** 2;
  return holed.map((row, y) =>
    row.map((value, x) => {
      if (value !== null) return value;
      const far = distance(x, y);
      return known.reduce((best, point) => (far(point) < far(best) ? point : best)).value;
    }),
  );
}

const invalid = (what: string) => new StatorError('invalid_request', `the profile is wrong: ${what}`);
