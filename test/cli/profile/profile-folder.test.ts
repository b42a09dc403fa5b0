/** Does a run that was ended find what it had, and only that? */

import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { Measurement } from '../../../cli/profile/measure.ts';
import { ProfileFolder } from '../../../cli/profile/profile-folder.ts';
import { readProfile } from '../../../gpu-sidecar/profile-files/profile-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'stator-profile-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const subject = { engine: 'mock', model: 'm' };
const one: Measurement = { kind: 'prefill', inputTokens: 7, ttftMs: 1.5 };
const two: Measurement = { kind: 'decode', inputTokens: 7, concurrency: 2, itlMs: 3 };

test('what was measured is there again, but for the half line of a run that was killed', () => {
  const path = join(folder, 'a');
  const first = new ProfileFolder(path, subject, { isFresh: false });
  first.add(one);
  first.add(two);
  appendFileSync(join(path, 'measurements.jsonl'), '{"kind":"prefill","inputTo');
  expect(new ProfileFolder(path, subject, { isFresh: false }).measurements).toEqual([one, two]);
});

test('measurements of something else are refused, and dropped on demand', () => {
  const path = join(folder, 'b');
  new ProfileFolder(path, subject, { isFresh: false }).add(one);
  const other = { engine: 'llama', model: 'm' };
  expect(() => new ProfileFolder(path, other, { isFresh: false })).toThrow('--fresh drops them');
  expect(new ProfileFolder(path, other, { isFresh: true }).measurements).toEqual([]);
});

test('the files written are read as the profile that they are', () => {
  const path = join(folder, 'c');
  const profile = {
    prefill: { inputTokens: [7], ttftMs: [1.5], tokensPerSecondPerGpu: [4_666] },
    decode: {
      maxKvTokens: 100,
      points: { kvUsage: [0.14], contextTokens: [7], itlMs: [3], tokensPerSecondPerGpu: [666] },
    },
  };
  const files = new ProfileFolder(path, subject, { isFresh: false }).finish(profile);
  expect(files).toHaveLength(3);
  expect(readProfile(path)).toMatchObject(profile);
  expect(readProfile(files[1]!)).toMatchObject(profile);
});
