/** Does the platform get the profile that a setting names, and nothing it could not use? */

import { join } from 'node:path';
import { expect, test } from 'vitest';
import { inlinePlannerProfile } from '../../cli/planner-profile-file.ts';
import { Profile } from '../../durable/planner/profile.ts';
import { resolveSettings, type Settings } from '../../durable/runtime/config.ts';
import { decodeMs, prefillMs } from '../../gpu-sidecar/engines/mock/timing.ts';

const FIXTURES = join(import.meta.dirname, '..', 'fixtures', 'profiles');
const settings = (over: Partial<Settings>): Settings => ({ ...resolveSettings([]), ...over });
const inlined = (over: Partial<Settings>) =>
  new Profile(JSON.parse(inlinePlannerProfile(settings({ planner: 'sla', ...over })).plannerProfile));

test("a file or folder, Dynamo's or ours, goes on as JSON", () => {
  const profile = inlined({ plannerProfile: join(FIXTURES, 'planner') });
  expect(profile.maxKvTokens).toBe(65_536);
  expect(profile.ttftMs(2_048)).toBeCloseTo(16.5 + 0.0152 * 2_048 + 4.2e-7 * 2_048 ** 2, 3);
  expect(inlined({ plannerProfile: join(FIXTURES, 'mocker.npz') }).maxKvTokens).toBe(65_536);
});

test('mock engines need none: theirs is known, at their speed', () => {
  const profile = inlined({ engine: 'mock', engineSpeedup: 2, blockSize: 16 });
  expect(profile.maxKvTokens).toBe(16_384 * 16);
  expect(profile.ttftMs(4_000) / (prefillMs(4_000) / 2)).toBeCloseTo(1, 1);
  const full = decodeMs({ decodeContextTokens: 131_072, totalKvTokens: 262_144 }) / 2;
  expect(profile.itlMs(128, 1_024) / full).toBeCloseTo(1, 1);
  const timed = inlined({ engine: 'mock', mockTiming: join(FIXTURES, 'mocker.npz') });
  expect(timed.maxKvTokens).toBe(65_536);
});

test('without a planner, or where only a measurement can tell, nothing is read', () => {
  const off = settings({ plannerProfile: '/nowhere' });
  expect(inlinePlannerProfile(off)).toBe(off);
  const unknown = settings({ planner: 'sla', engine: 'llama' });
  expect(inlinePlannerProfile(unknown)).toBe(unknown);
  const known = settings({ planner: 'sla', plannerProfile: '{"a":1}' });
  expect(inlinePlannerProfile(known)).toBe(known);
});

test('a file that is no profile is refused by its name', () => {
  const wrong = settings({ planner: 'sla', plannerProfile: join(FIXTURES, 'types.npz') });
  expect(() => inlinePlannerProfile(wrong)).toThrow('types.npz: prefill_isl is missing');
});
