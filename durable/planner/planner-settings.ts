/**
 * The planner's configuration from the deployment's settings. `planner-config.ts` is the schema and says what contradicts
 * what; `runtime/contradictions.ts` says the usual ones in the words of the flags, before anything starts.
 */

import type { Settings } from '../runtime/config.ts';
import { StatorError } from '../runtime/errors.ts';
import { type PlannerConfig, type PlannerOptions, plannerConfig } from './planner-config.ts';
import { Profile, type ProfileData } from './profile.ts';

/** What the load mode has in place of a profile: it asks for none of these. */
const NO_PROFILE: ProfileData = {
  prefill: { inputTokens: [1], ttftMs: [1], tokensPerSecondPerGpu: [1] },
  decode: { maxKvTokens: 1, kvUsage: [0], contextTokens: [1], itlMs: [[1]], tokensPerSecondPerGpu: [[1]] },
};

export interface PlannerBasis {
  config: PlannerConfig;
  profile: Profile;
  /** What the profile was made of. */
  profileData: unknown;
}

/** Null: there is no planner. Throws `invalid_request` when the settings contradict each other or the profile is wrong. */
export function plannerBasis(settings: Settings): PlannerBasis | null {
  const config = plannerOf(settings);
  if (config === null) return null;
  const profileData = profileOf(settings);
  return { config, profile: new Profile(profileData), profileData };
}

/** The launcher has put the file's content in place of its name. */
function profileOf({ planner, plannerProfile }: Settings): unknown {
  if (plannerProfile === '') {
    if (planner === 'load') return NO_PROFILE;
    throw new StatorError(
      'invalid_request',
      `planner ${planner} wants a profile of the engine (planner_profile)`,
    );
  }
  try {
    return JSON.parse(plannerProfile);
  } catch (cause) {
    throw new StatorError('invalid_request', 'planner_profile is no JSON', { cause });
  }
}

/** Null: there is no planner. Throws `invalid_request` when the settings contradict each other. */
export function plannerOf(settings: Settings): PlannerConfig | null {
  const { planner } = settings;
  if (planner === 'off') return null;
  const intervalMs = Math.round(1_000 * settings.plannerIntervalSecs);
  return plannerConfig({
    mode: planner,
    advisory: settings.plannerAdvisory,
    ttftMs: settings.plannerTtftMs,
    itlMs: settings.plannerItlMs,
    intervalMs,
    loadIntervalMs: Math.min(intervalMs, Math.round(1_000 * settings.plannerLoadIntervalSecs)),
    predictor: settings.plannerPredictor,
    corrected: settings.plannerCorrection,
    startupMs: 1_000 * settings.plannerStartupSecs,
    actionLimitMs: 1_000 * settings.plannerActionLimitSecs,
    maxStep: settings.plannerMaxStep,
    keepAliveMs: settings.plannerKeepAliveMs,
    ...(settings.plannerGpuBudget === 'off' ? {} : { gpuBudget: settings.plannerGpuBudget }),
    roles: boundsOf(settings),
  });
}

/** Prefill and decode workers are planned where there are some, or bounds for some; otherwise workers that do both. */
function boundsOf(settings: Settings): PlannerOptions['roles'] {
  const { plannerMin, plannerMax, plannerPrefillMin, plannerPrefillMax } = settings;
  const { plannerDecodeMin, plannerDecodeMax } = settings;
  const given = [plannerPrefillMin, plannerPrefillMax, plannerDecodeMin, plannerDecodeMax];
  const isSplit =
    settings.prefillWorkers + settings.decodeWorkers > 0 || given.some((bound) => bound !== 'off');
  const or = (bound: 'off' | number, fallback: number) => (bound === 'off' ? fallback : bound);
  if (!isSplit)
    return { worker: { min: plannerMin, max: plannerMax, gpusPerWorker: settings.plannerWorkerGpus } };
  return {
    prefill: {
      min: or(plannerPrefillMin, plannerMin),
      max: or(plannerPrefillMax, plannerMax),
      gpusPerWorker: settings.plannerPrefillGpus,
    },
    decode: {
      min: or(plannerDecodeMin, plannerMin),
      max: or(plannerDecodeMax, plannerMax),
      gpusPerWorker: settings.plannerDecodeGpus,
    },
  };
}
