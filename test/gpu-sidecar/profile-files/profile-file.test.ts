/** Does a profile say the same whichever form it is kept in, and what is said of files that are none? */

import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, test } from 'vitest';
import { Profile } from '../../../durable/planner/profile.ts';
import type { MeasuredProfile } from '../../../durable/runtime/profile/profile-tables.ts';
import {
  DECODE_FILE,
  PREFILL_FILE,
  plannerArrays,
} from '../../../gpu-sidecar/profile-files/dynamo-arrays.ts';
import type { NpyArray } from '../../../gpu-sidecar/profile-files/npy.ts';
import { readNpz, writeNpz } from '../../../gpu-sidecar/profile-files/npz.ts';
import { readProfile } from '../../../gpu-sidecar/profile-files/profile-file.ts';

const FIXTURES = join(import.meta.dirname, '..', '..', 'fixtures', 'profiles');
const folder = mkdtempSync(join(tmpdir(), 'stator-profiles-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The invented engine of make_profiles.py. */
const ttftMs = (tokens: number) => 16.5 + 0.0152 * tokens + 4.2e-7 * tokens ** 2;
const itlMs = (usage: number, context: number) => 5.7 + 54 * usage - 25.7 * usage ** 2 + 3e-4 * context;

test("Dynamo's two files, by their folder or by either of them", () => {
  const planner = join(FIXTURES, 'planner');
  const profile = new Profile(readProfile(planner));
  expect(profile.maxKvTokens).toBe(65_536);
  expect(profile.ttftMs(2_048)).toBeCloseTo(ttftMs(2_048), 9);
  expect(profile.ttftMs(1e9)).toBeCloseTo(ttftMs(8_192), 9);
  expect(profile.prefillTokensPerSecondPerGpu(512)).toBeCloseTo(512_000 / ttftMs(512), 9);
  for (const [requests, context] of [
    [8, 1_152],
    [7, 4_224],
    [40, 800],
  ] as const) {
    const usage = (requests * context) / 65_536;
    const ratio = profile.itlMs(requests, context) / itlMs(usage, context);
    expect(Math.abs(ratio - 1)).toBeLessThan(0.03);
  }
  for (const half of [PREFILL_FILE, DECODE_FILE]) {
    expect(readProfile(join(planner, half))).toEqual(readProfile(planner));
  }
});

test("the one file of Dynamo's mocker", () => {
  const profile = new Profile(readProfile(join(FIXTURES, 'mocker.npz')));
  expect(profile.maxKvTokens).toBe(65_536);
  expect(profile.itlMs(32, 1_024)).toBeCloseTo(itlMs(0.5, 1_024), 9);
  expect(profile.bestDecodeTokensPerSecondPerGpu(itlMs(0.5, 1_024), 1_024)).toBeCloseTo(
    (1000 * 32) / itlMs(0.5, 1_024),
    6,
  );
});

const measured: MeasuredProfile = {
  gpusPerWorker: 2,
  prefill: { inputTokens: [10, 100], ttftMs: [5, 20], tokensPerSecondPerGpu: [1_000, 2_500] },
  decode: {
    maxKvTokens: 1_000,
    points: {
      kvUsage: [0.1, 0.5, 0.2, 1],
      contextTokens: [100, 100, 200, 200],
      itlMs: [4, 6, 5, 9],
      tokensPerSecondPerGpu: [125, 416, 100, 277],
    },
  },
};

test('ours as JSON, and the same as arrays', () => {
  const json = join(folder, 'json');
  const arrays = join(folder, 'arrays');
  for (const [at, file] of [
    [json, 'profile.json'],
    [arrays, PREFILL_FILE],
    [arrays, DECODE_FILE],
  ] as const) {
    mkdirSync(join(at, file, '..'), { recursive: true });
  }
  writeFileSync(join(json, 'profile.json'), JSON.stringify(measured));
  const { prefill, decode } = plannerArrays(measured);
  writeFileSync(join(arrays, PREFILL_FILE), writeNpz(prefill));
  writeFileSync(join(arrays, DECODE_FILE), writeNpz(decode));
  expect(readProfile(json)).toEqual(measured);
  const { gpusPerWorker: _, ...rest } = measured;
  expect(readProfile(arrays)).toEqual(rest);
  expect(new Profile(readProfile(json)).gpusPerWorker).toBe(2);
});

describe('refused by the name of the file', () => {
  const changed = (half: string, change: (arrays: Map<string, NpyArray>) => void) => {
    const at = mkdtempSync(join(folder, 'changed-'));
    cpSync(join(FIXTURES, 'planner'), at, { recursive: true });
    const arrays = new Map(readNpz(readFileSync(join(at, half)), half));
    change(arrays);
    writeFileSync(join(at, half), writeNpz(arrays));
    return at;
  };
  const line = (...values: number[]): NpyArray => ({
    shape: [values.length],
    values: Float64Array.from(values),
  });
  const text = (content: string) => {
    const at = join(mkdtempSync(join(folder, 'text-')), 'profile.json');
    writeFileSync(at, content);
    return at;
  };

  it.each([
    ['a file that is not there', () => join(folder, 'none.json'), 'cannot be read (ENOENT)'],
    [
      'an empty folder',
      () => mkdtempSync(join(folder, 'empty-')),
      'has neither profile.json nor selected_prefill',
    ],
    ['no JSON', () => text('{'), 'is no JSON'],
    ['another JSON', () => text('{"a": 1}'), 'prefill'],
    ['a later version', () => text(JSON.stringify({ ...measured, version: 2 })), 'version'],
    [
      'arrays of another kind',
      () => join(FIXTURES, 'types.npz'),
      'prefill_isl is missing; there are float64',
    ],
    [
      'a NaN',
      () => changed(DECODE_FILE, (arrays) => arrays.get('z_itl')!.values.fill(Number.NaN, 3, 4)),
      'z_itl has NaN at place 3',
    ],
    [
      'a negative time',
      () => changed(DECODE_FILE, (arrays) => arrays.get('z_itl')!.values.fill(-1, 3, 4)),
      'decode.points.itlMs.3',
    ],
    [
      'too few values',
      () => changed(DECODE_FILE, (arrays) => arrays.set('z_itl', line(1, 2))),
      '2 values for',
    ],
    [
      'a missing array',
      () => changed(DECODE_FILE, (arrays) => arrays.delete('max_kv_tokens')),
      'max_kv_tokens is missing',
    ],
    [
      'no size',
      () => changed(DECODE_FILE, (arrays) => arrays.set('max_kv_tokens', line())),
      'max_kv_tokens is empty',
    ],
    [
      'a length twice',
      () => changed(PREFILL_FILE, (arrays) => arrays.get('prefill_isl')!.values.fill(512)),
      '512 follows 512',
    ],
    [
      'a wrong shape',
      () =>
        changed(PREFILL_FILE, (arrays) => arrays.set('prefill_isl', { ...line(1, 2, 3, 4), shape: [2, 2] })),
      'shape (2, 2), want one row',
    ],
  ])('%s', (_name, make, message) => {
    const path = make();
    expect(() => readProfile(path)).toThrow(
      expect.objectContaining({ code: 'invalid_request', message: expect.stringContaining(message) }),
    );
  });

  it('half of a grid is a grid with holes', () => {
    const arrays = new Map(readNpz(readFileSync(join(FIXTURES, 'mocker.npz')), 'mocker.npz'));
    arrays.get('decode_itl')!.values.fill(Number.NaN, 0, 12);
    const at = join(folder, 'holes.npz');
    writeFileSync(at, writeNpz(arrays));
    expect(new Profile(readProfile(at)).itlMs(1, 1_024)).toBeCloseTo(itlMs(0.5, 1_024), 9);
  });
});
