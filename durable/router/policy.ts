/**
 * How decisions are made: the settings of the router as one value, and what a request may change of it for itself.
 * Names and defaults are those of `runtime/config.ts`; times are milliseconds here, and `off` is null.
 */

import type { Settings } from '../runtime/config.ts';
import type { BusyThresholds, DisaggSettings, RouterConfigOverride, RouterMode, RouterRole } from './rpc.ts';
import type { Random } from './selector.ts';

/** What the cost rules weigh with (semantics §1.3). */
export interface CostWeights {
  /** Credit per prompt block on the device (C). */
  overlapScoreCredit: number;
  /** How fast that credit shrinks on workers busier than the idlest (C_decay); 0: not at all. */
  overlapScoreCreditDecay: number;
  /** Weight of prefill blocks (S). */
  prefillLoadScale: number;
  /** Weight of active requests (A). */
  decodeActiveRequestWeight: number;
  /** Credit per block in host memory, on disk, and in the external shared cache. */
  hostCacheHitWeight: number;
  diskCacheHitWeight: number;
  sharedCacheMultiplier: number;
}

export interface Policy extends CostWeights {
  mode: RouterMode;
  /** The cost rule of mode kv. */
  rule: Settings['routerPolicy'];
  temperature: number;
  trackActiveBlocks: boolean;
  trackOutputBlocks: boolean;
  trackPrefillTokens: boolean;
  /** Requests in flight share equal prompt beginnings. */
  assumeKvReuse: boolean;
  prefillLoadModel: Settings['routerPrefillLoadModel'];
  /** False: the index holds what was routed, not what workers tell. */
  useKvEvents: boolean;
  approximate: { policy: 'ttl' | 'lru'; ttlMs: number; maxTreeSize: number; pruneTargetRatio: number };
  /** Of prompts sent lately, before their events come; null: off. */
  predictedTtlMs: number | null;
  affinityTtlMs: number | null;
  busy: BusyThresholds;
  disagg: DisaggSettings;
  /** Where prompts go through the prefill queue, what of a model is in it; null: they are pushed to a worker that is chosen here. */
  prefillQueue: ((model: string) => PrefillBacklog) | null;
  random: Random;
}

/** `waiting`: prompts that no worker has. `tokens`: of all prompts that are not computed, those on a worker included. */
export interface PrefillBacklog {
  waiting: number;
  tokens: number;
}

export function policyOf(settings: Settings, random: Random): Policy {
  const weight = settings.overlapScoreWeight;
  return {
    mode: settings.routerMode,
    rule: settings.routerPolicy,
    overlapScoreCredit: weight === 0 ? 0 : settings.overlapScoreCredit,
    overlapScoreCreditDecay: settings.overlapScoreCreditDecay,
    prefillLoadScale: weight === 'off' ? settings.prefillLoadScale : weight,
    decodeActiveRequestWeight: settings.decodeActiveRequestWeight,
    hostCacheHitWeight: settings.hostCacheHitWeight,
    diskCacheHitWeight: settings.diskCacheHitWeight,
    sharedCacheMultiplier: settings.sharedCacheMultiplier,
    temperature: settings.routerTemperature,
    trackActiveBlocks: settings.routerTrackActiveBlocks,
    trackOutputBlocks: settings.routerTrackOutputBlocks,
    trackPrefillTokens: settings.routerTrackPrefillTokens,
    assumeKvReuse: settings.routerAssumeKvReuse,
    prefillLoadModel: settings.routerPrefillLoadModel,
    useKvEvents: settings.useKvEvents,
    approximate: {
      policy: settings.routerApproximateCachePolicy,
      ttlMs: settings.routerTtlSecs * 1000,
      maxTreeSize: settings.routerMaxTreeSize,
      pruneTargetRatio: settings.routerPruneTargetRatio,
    },
    predictedTtlMs: settings.routerPredictedTtlSecs === 'off' ? null : settings.routerPredictedTtlSecs * 1000,
    affinityTtlMs: settings.sessionAffinityTtlSecs === 'off' ? null : settings.sessionAffinityTtlSecs * 1000,
    busy: {
      activeDecodeBlocks: orNull(settings.activeDecodeBlocksThreshold),
      activePrefillTokens: orNull(settings.activePrefillTokensThreshold),
      activePrefillTokensFrac: orNull(settings.activePrefillTokensThresholdFrac),
    },
    prefillQueue: null,
    disagg: {
      policy: settings.disaggPolicy,
      islTokens: settings.disaggIslTokens,
      islRatio: settings.disaggIslRatio,
      prefillBusyThreshold: orNull(settings.prefillBusyThreshold) ?? orNull(settings.routerQueueThreshold),
      decodeBusyThreshold: orNull(settings.decodeBusyThreshold),
      maxLocalPrefillLength: settings.maxLocalPrefillLength,
      maxPrefillQueueSize: settings.maxPrefillQueueSize,
    },
    random,
  };
}

const orNull = (value: number | 'off'): number | null => (value === 'off' ? null : value);

/** The policy of one request. The configured one itself when the request changes nothing. */
export function policyFor(
  policy: Policy,
  request: { role?: RouterRole; override?: RouterConfigOverride },
): Policy {
  const { role, override } = request;
  if (role === undefined && override === undefined) return policy;
  return { ...policy, ...(override && given(override)), ...(role && ROLES[role]) };
}

/** Prefill workers hold no decode blocks; decode workers compute no prompt, so what they have cached is worth nothing. */
const ROLES: Readonly<Record<RouterRole, Partial<Policy>>> = {
  prefill: { trackActiveBlocks: false },
  decode: {
    trackPrefillTokens: false,
    overlapScoreCredit: 0,
    hostCacheHitWeight: 0,
    diskCacheHitWeight: 0,
    sharedCacheMultiplier: 0,
  },
};

function given(override: RouterConfigOverride): Partial<Policy> {
  const { overlapScoreWeight, ...rest } = override;
  const chosen: Partial<Policy> = rest;
  if (overlapScoreWeight === undefined) return chosen;
  return {
    ...chosen,
    prefillLoadScale: overlapScoreWeight,
    ...(overlapScoreWeight === 0 ? { overlapScoreCredit: 0 } : {}),
  };
}
