/**
 * The setting `planner_profile` names a profile (`gpu-sidecar/profile-files/profile-file.ts`). It is read and checked here, before
 * anything starts, and goes on as JSON, because the platform process sees no files. A fleet of mock engines needs none: what
 * they take is known.
 */

import type { Settings } from '../durable/runtime/config.ts';
import { StatorError } from '../durable/runtime/errors.ts';
import { LIMITS } from '../durable/runtime/limits.ts';
import type { ProfileData } from '../durable/runtime/profile/profile-tables.ts';
import { mockShape } from '../gpu-sidecar/engines/mock/kind.ts';
import { TimingTable } from '../gpu-sidecar/engines/mock/timing-table.ts';
import { readProfile } from '../gpu-sidecar/profile-files/profile-file.ts';
import { mockProfile } from './replay/planner/mock-profile.ts';

/** More digits than any measurement has. */
const DIGITS = 6;

/** The setting as the platform wants it. Throws `invalid_request` naming the file and what is wrong with it. */
export function inlinePlannerProfile(settings: Settings): Settings {
  const { planner, plannerProfile } = settings;
  if (planner === 'off' || plannerProfile.startsWith('{')) return settings;
  const data = plannerProfile === '' ? knownProfile(settings) : readProfile(plannerProfile);
  if (data === null) return settings;
  const json = JSON.stringify(data, (_key, value: unknown) =>
    typeof value === 'number' ? Number(value.toPrecision(DIGITS)) : value,
  );
  if (json.length > LIMITS.plannerProfileLength) {
    const message = `${plannerProfile}: ${json.length} characters as JSON, at most ${LIMITS.plannerProfileLength} go to the planner`;
    throw new StatorError('invalid_request', message, { param: 'plannerProfile' });
  }
  return { ...settings, plannerProfile: json };
}

/** Null where only a measurement can tell. */
function knownProfile(settings: Settings): ProfileData | null {
  if (settings.engine !== 'mock') return null;
  const { mockTiming, mockDecodeMs, engineSpeedup, blockSize, context } = settings;
  if (mockTiming !== '' && engineSpeedup === 1 && mockDecodeMs === 0) return readProfile(mockTiming);
  return mockProfile({
    ...mockShape({ blockSizeTokens: blockSize, contextLengthTokens: context || null }),
    speedup: engineSpeedup,
    decodeMs: mockDecodeMs,
    ...(mockTiming === '' ? {} : { table: new TimingTable(readProfile(mockTiming)) }),
  });
}
