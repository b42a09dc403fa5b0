/**
 * Profile: what an engine was measured to do, as tables to interpolate in (semantics §8.6).
 *
 * Prefill is a line over the prompt's length, clamped to what was measured. Decode is a grid over the share of KV memory in
 * use and the context length; looked up by the nearest point, holes filled from the nearest row when it is read.
 */

import * as z from 'zod';
import { StatorError } from '../runtime/errors.ts';
import { LIMITS } from '../runtime/limits.ts';

const axis = z.array(z.number().nonnegative()).min(1).max(LIMITS.profilePoints);
const grid = z.array(z.array(z.number().nullable()).max(LIMITS.profilePoints)).max(LIMITS.profilePoints);

const PROFILE = z.strictObject({
  gpusPerWorker: z.number().int().min(1).default(1),
  prefill: z.strictObject({
    inputTokens: axis,
    ttftMs: axis,
    tokensPerSecondPerGpu: axis,
  }),
  decode: z.strictObject({
    maxKvTokens: z.number().positive(),
    kvUsage: axis,
    contextTokens: axis,
    /** By KV usage, then by context; null: not measured. */
    itlMs: grid,
    tokensPerSecondPerGpu: grid,
  }),
});

export type ProfileData = z.input<typeof PROFILE>;

type Grid = readonly (readonly number[])[];

export class Profile {
  readonly gpusPerWorker: number;
  readonly maxKvTokens: number;
  readonly #prefill: z.output<typeof PROFILE>['prefill'];
  readonly #kvUsage: readonly number[];
  readonly #contextTokens: readonly number[];
  readonly #itlMs: Grid;
  readonly #tokensPerSecond: Grid;

  /** Throws `invalid_request` that says what is wrong with the data. */
  constructor(data: unknown) {
    const parsed = PROFILE.safeParse(data);
    if (!parsed.success) {
      const { path, message } = parsed.error.issues[0]!;
      throw invalid(`${path.join('.')}: ${message}`);
    }
    const { gpusPerWorker, prefill, decode } = parsed.data;
    checkRises('prefill.inputTokens', prefill.inputTokens);
    checkRises('decode.kvUsage', decode.kvUsage);
    checkRises('decode.contextTokens', decode.contextTokens);
    for (const name of ['ttftMs', 'tokensPerSecondPerGpu'] as const) {
      if (prefill[name].length !== prefill.inputTokens.length) {
        throw invalid(
          `prefill.${name}: ${prefill[name].length} values for ${prefill.inputTokens.length} lengths`,
        );
      }
    }
    this.gpusPerWorker = gpusPerWorker;
    this.maxKvTokens = decode.maxKvTokens;
    this.#prefill = prefill;
    this.#kvUsage = decode.kvUsage;
    this.#contextTokens = decode.contextTokens;
    this.#itlMs = filled('decode.itlMs', decode.itlMs, decode);
    this.#tokensPerSecond = filled('decode.tokensPerSecondPerGpu', decode.tokensPerSecondPerGpu, decode);
  }

  /** Milliseconds that a prompt alone on a worker takes. */
  ttftMs(inputTokens: number): number {
    return along(this.#prefill.inputTokens, this.#prefill.ttftMs, inputTokens);
  }

  prefillTokensPerSecondPerGpu(inputTokens: number): number {
    return along(this.#prefill.inputTokens, this.#prefill.tokensPerSecondPerGpu, inputTokens);
  }

  /** Milliseconds between two tokens with so many requests of so much context on a worker. */
  itlMs(concurrency: number, contextTokens: number): number {
    const usage = (concurrency * contextTokens) / this.maxKvTokens;
    return this.#itlMs[nearest(this.#kvUsage, usage)]![nearest(this.#contextTokens, contextTokens)]!;
  }

  /**
   * Most tokens a second per GPU with an ITL of at most `itlMs`: from the highest usage down, the first that keeps it;
   * the measured ITL need not rise with usage, so nothing is bisected. The lowest usage where none does.
   */
  bestDecodeTokensPerSecondPerGpu(itlMs: number, contextTokens: number): number {
    const column = nearest(this.#contextTokens, contextTokens);
    for (let row = this.#kvUsage.length - 1; row > 0; row--) {
      if (this.#itlMs[row]![column]! <= itlMs) return this.#tokensPerSecond[row]![column]!;
    }
    return this.#tokensPerSecond[0]![column]!;
  }
}

/** Linear between points, level outside them. */
function along(points: readonly number[], values: readonly number[], at: number): number {
  if (!(at > points[0]!)) return values[0]!;
  for (let i = 1; i < points.length; i++) {
    if (at > points[i]!) continue;
    const share = (at - points[i - 1]!) / (points[i]! - points[i - 1]!);
    return values[i - 1]! + share * (values[i]! - values[i - 1]!);
  }
  return values.at(-1)!;
}

function nearest(points: readonly number[], at: number): number {
  let best = 0;
  for (let i = 1; i < points.length; i++) {
    if (Math.abs(points[i]! - at) < Math.abs(points[best]! - at)) best = i;
  }
  return best;
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
): Grid {
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
