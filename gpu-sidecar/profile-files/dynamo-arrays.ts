/**
 * Profiles as Dynamo keeps them, in arrays (semantics §8.6): the planner's two files, and the one of its mocker. Here they
 * become what `profileTables` reads, and the planner's are written.
 */

import { StatorError } from '../../durable/runtime/errors.ts';
import type { MeasuredProfile, ProfileData } from '../../durable/runtime/profile/profile-tables.ts';
import type { NpyArray } from './npy.ts';
import type { Arrays } from './npz.ts';

/** Where the planner's files lie in a folder of profiling results. */
export const PREFILL_FILE = 'selected_prefill_interpolation/raw_data.npz';
export const DECODE_FILE = 'selected_decode_interpolation/raw_data.npz';

/** No time at all would be endless throughput. */
const LEAST_MS = 1e-6;

/** Throws `invalid_request` that names the file and the array. */
export function plannerProfile({ prefill, decode }: { prefill: Named; decode: Named }): ProfileData {
  const maxKvTokens = column(decode, 'max_kv_tokens')[0];
  if (maxKvTokens === undefined) throw invalid(decode, 'max_kv_tokens', 'is empty');
  return {
    prefill: byLength({
      inputTokens: column(prefill, 'prefill_isl'),
      ttftMs: column(prefill, 'prefill_ttft'),
      tokensPerSecondPerGpu: column(prefill, 'prefill_thpt_per_gpu'),
    }),
    decode: {
      maxKvTokens,
      points: {
        kvUsage: column(decode, 'x_kv_usage'),
        contextTokens: column(decode, 'y_context_length'),
        itlMs: column(decode, 'z_itl'),
        tokensPerSecondPerGpu: column(decode, 'z_thpt_per_gpu'),
      },
    },
  };
}

/** The mocker's: a grid over tokens in the cache and context length; a NaN in it is a hole. Throws as `plannerProfile`. */
export function mockerProfile(file: Named): ProfileData {
  const inputTokens = column(file, 'prefill_isl');
  const ttftMs = column(file, 'prefill_ttft_ms');
  const activeTokens = column(file, 'decode_active_kv_tokens');
  const contextTokens = column(file, 'decode_context_length');
  const itlMs = rows(file, 'decode_itl', { rows: activeTokens.length, columns: contextTokens.length });
  const maxKvTokens = Math.max(...activeTokens);
  if (!(maxKvTokens > 0)) throw invalid(file, 'decode_active_kv_tokens', 'has nothing above 0');
  const requests = (tokens: number, context: number) => Math.max(1, tokens / Math.max(1, context));
  return {
    prefill: byLength({
      inputTokens,
      ttftMs,
      tokensPerSecondPerGpu: inputTokens.map(
        (tokens, i) => (1000 * tokens) / Math.max(ttftMs[i] ?? Number.NaN, LEAST_MS),
      ),
    }),
    decode: {
      maxKvTokens,
      kvUsage: activeTokens.map((tokens) => tokens / maxKvTokens),
      contextTokens,
      itlMs,
      tokensPerSecondPerGpu: itlMs.map((row, at) =>
        row.map((ms, i) =>
          ms === null ? null : (1000 * requests(activeTokens[at]!, contextTokens[i]!)) / ms,
        ),
      ),
    },
  };
}

/** Our measurements as the planner's two files. */
export function plannerArrays({ prefill, decode }: MeasuredProfile): { prefill: Arrays; decode: Arrays } {
  const line = (values: readonly number[]): NpyArray => ({
    shape: [values.length],
    values: Float64Array.from(values),
  });
  return {
    prefill: new Map([
      ['prefill_isl', line(prefill.inputTokens)],
      ['prefill_ttft', line(prefill.ttftMs)],
      ['prefill_thpt_per_gpu', line(prefill.tokensPerSecondPerGpu)],
    ]),
    decode: new Map([
      ['x_kv_usage', line(decode.points.kvUsage)],
      ['y_context_length', line(decode.points.contextTokens)],
      ['z_itl', line(decode.points.itlMs)],
      ['z_thpt_per_gpu', line(decode.points.tokensPerSecondPerGpu)],
      ['max_kv_tokens', line([decode.maxKvTokens])],
    ]),
  };
}

/** Arrays and the file they are from. */
export interface Named {
  readonly name: string;
  readonly arrays: Arrays;
}

function column(file: Named, key: string): number[] {
  const { shape, values } = arrayOf(file, key);
  if (shape.length > 1 && shape.some((length) => length !== values.length && length !== 1)) {
    throw invalid(file, key, `is of shape (${shape.join(', ')}), want one row`);
  }
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at >= 0) throw invalid(file, key, `has ${values[at]} at place ${at}`);
  return [...values];
}

function rows(file: Named, key: string, want: { rows: number; columns: number }): (number | null)[][] {
  const { shape, values } = arrayOf(file, key);
  if (shape.length !== 2 || shape[0] !== want.rows || shape[1] !== want.columns) {
    throw invalid(file, key, `is of shape (${shape.join(', ')}), want (${want.rows}, ${want.columns})`);
  }
  return Array.from({ length: want.rows }, (_, row) =>
    Array.from(values.subarray(row * want.columns, (row + 1) * want.columns), (value) =>
      Number.isNaN(value) ? null : value,
    ),
  );
}

function arrayOf(file: Named, key: string): NpyArray {
  const array = file.arrays.get(key);
  if (array !== undefined) return array;
  throw invalid(file, key, `is missing; there are ${[...file.arrays.keys()].join(', ') || 'no arrays'}`);
}

/** In the order of lengths, as files need not be. */
function byLength(prefill: MeasuredProfile['prefill']): MeasuredProfile['prefill'] {
  const order = prefill.inputTokens.map((_, i) => i);
  order.sort((left, right) => prefill.inputTokens[left]! - prefill.inputTokens[right]!);
  // Arrays of other lengths are refused where the profile is checked.
  const sorted = (values: number[]) =>
    values.length === order.length ? order.map((i) => values[i]!) : values;
  return {
    inputTokens: sorted(prefill.inputTokens),
    ttftMs: sorted(prefill.ttftMs),
    tokensPerSecondPerGpu: sorted(prefill.tokensPerSecondPerGpu),
  };
}

const invalid = ({ name }: Named, key: string, what: string) =>
  new StatorError('invalid_request', `${name}: ${key} ${what}`, { param: key });
