/**
 * Settings that are each fine and together are not (semantics §1.9). One table; the first rule that is broken is told,
 * with the words for both settings, because whoever gave one of them may not know of the other.
 */

import type { SettingName, Settings } from './config.ts';
import { executingConnector } from './executing-connector.ts';

interface Contradiction {
  settings: readonly [SettingName, SettingName];
  /** Stands between the two settings: `--a` wants `--b`. */
  reason: string;
}

interface Rule extends Contradiction {
  broken: (settings: Settings) => boolean;
}

type TextSetting = { [K in SettingName]: Settings[K] extends string ? K : never }[SettingName];

const RULES: readonly Rule[] = [
  {
    settings: ['routerTrackOutputBlocks', 'routerTrackActiveBlocks'],
    reason: 'is on, which does nothing without',
    broken: (s) => s.routerTrackOutputBlocks && !s.routerTrackActiveBlocks,
  },
  {
    settings: ['routerPrefillLoadModel', 'routerTrackPrefillTokens'],
    reason: 'is on, which does nothing without',
    broken: (s) => s.routerPrefillLoadModel !== 'none' && !s.routerTrackPrefillTokens,
  },
  {
    settings: ['routerPredictedTtlSecs', 'useKvEvents'],
    reason: 'is given, which adds to KV events and does nothing without',
    broken: (s) => s.routerPredictedTtlSecs !== 'off' && !s.useKvEvents,
  },
  {
    settings: ['routerApproximateCachePolicy', 'useKvEvents'],
    reason: 'lru is for routing without KV events, so it cannot go with',
    broken: (s) => s.routerApproximateCachePolicy === 'lru' && s.useKvEvents,
  },
  {
    settings: ['overlapScoreWeight', 'prefillLoadScale'],
    reason: 'is the older name of, and differs from,',
    broken: (s) =>
      s.overlapScoreWeight !== 'off' &&
      s.prefillLoadScale !== 1 &&
      s.prefillLoadScale !== s.overlapScoreWeight,
  },
  {
    settings: ['overlapScoreWeight', 'overlapScoreCredit'],
    reason: '0 ignores the cache, so it cannot go with',
    broken: (s) => s.overlapScoreWeight === 0 && s.overlapScoreCredit !== 1 && s.overlapScoreCredit !== 0,
  },
  {
    settings: ['disaggPolicy', 'prefillBusyThreshold'],
    reason: 'asks whether prefill workers are busy, which wants',
    broken: (s) =>
      (s.disaggPolicy === 'prefill_load' || s.disaggPolicy === 'isl_or_load') &&
      s.prefillBusyThreshold === 'off' &&
      s.routerQueueThreshold === 'off',
  },
  {
    settings: ['eventPlane', 'natsUrl'],
    reason: 'is nats, which wants',
    broken: (s) => s.eventPlane === 'nats' && s.natsUrl === '',
  },
  {
    settings: ['requestPlane', 'natsUrl'],
    reason: 'is nats, which wants',
    broken: (s) => s.requestPlane === 'nats' && s.natsUrl === '',
  },
  {
    settings: ['durableKvEvents', 'eventPlane'],
    reason: 'is on, which is for nats as',
    broken: (s) => s.durableKvEvents && s.eventPlane !== 'nats',
  },
  ...wants('natsCreds', 'natsUrl'),
  ...bounds('plannerMin', 'plannerMax'),
  ...bounds('plannerPrefillMin', 'plannerPrefillMax'),
  ...bounds('plannerPrefillMin', 'plannerMax', 'plannerPrefillMax'),
  ...bounds('plannerMin', 'plannerPrefillMax', 'plannerPrefillMin'),
  ...bounds('plannerDecodeMin', 'plannerDecodeMax'),
  ...bounds('plannerDecodeMin', 'plannerMax', 'plannerDecodeMax'),
  ...bounds('plannerMin', 'plannerDecodeMax', 'plannerDecodeMin'),
  {
    settings: ['plannerMetrics', 'plannerPrometheusUrl'],
    reason: 'is prometheus, which wants',
    broken: (s) => s.plannerMetrics === 'prometheus' && s.plannerPrometheusUrl === '',
  },
  {
    settings: ['planner', 'plannerMetrics'],
    reason: 'is load, which looks at engines, and none are seen through prometheus as',
    broken: (s) => s.planner === 'load' && s.plannerMetrics === 'prometheus',
  },
  {
    settings: ['plannerConnector', 'kubernetesTarget'],
    reason: 'is kubernetes, which wants',
    broken: (s) => s.planner !== 'off' && executingConnector(s) === 'kubernetes' && s.kubernetesTarget === '',
  },
  ...wants('tlsCert', 'tlsKey'),
  ...wants('tlsKey', 'tlsCert'),
  ...wants('tlsClientCa', 'tlsCert'),
  ...wants('fleetTlsCert', 'fleetTlsKey'),
  ...wants('fleetTlsCert', 'fleetTlsCa'),
  ...wants('fleetTlsKey', 'fleetTlsCert'),
  ...wants('fleetTlsCa', 'fleetTlsCert'),
];

/** A text that does nothing alone. */
function wants(given: TextSetting, needed: TextSetting): Rule[] {
  const broken = (s: Settings) => s[given] !== '' && s[needed] === '';
  return [{ settings: [given, needed], reason: 'is given, which wants', broken }];
}

type BoundSetting = { [K in SettingName]: Settings[K] extends number | 'off' ? K : never }[SettingName];

/** A least above a most. `unless`: where that one is given, it stands in for the one of the two that is not its own. */
function bounds(least: BoundSetting, most: BoundSetting, unless?: BoundSetting): Rule[] {
  const broken = (s: Settings) => {
    if (s.planner === 'off' || (unless !== undefined && s[unless] !== 'off')) return false;
    const [from, to] = [s[least], s[most]];
    return typeof from === 'number' && typeof to === 'number' && from > to;
  };
  return [{ settings: [least, most], reason: 'is above', broken }];
}

/** The first rule that these settings break. */
export function contradiction(settings: Settings): Contradiction | undefined {
  return RULES.find(({ broken }) => broken(settings));
}
