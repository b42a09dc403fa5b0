/**
 * The planner: observe → predict → propose → constrain, once a look. Pure: data in, data out, no clock; who calls it looks
 * every `lookMs` and executes what the decision says. Each decision says why, and the same inputs give the same decisions.
 *
 * The SLA mode looks once an interval. The load mode looks more often, and takes demand in once an interval as well. What
 * cannot be measured holds the fleet as it is, within its bounds.
 */

import { constrain, directionOf, type Restraints } from './constrain.ts';
import { type Counts, type Fleet, rolesOf, sameCounts, settledCounts } from './fleet.ts';
import type { Metrics } from './metrics.ts';
import { type Measured, type Observation, observe } from './observe.ts';
import type { PlannerConfig } from './planner-config.ts';
import type { PlannerState } from './planner-state.ts';
import { predictDemand } from './predict/demand.ts';
import type { Profile } from './profile.ts';
import { calibrate } from './propose/calibration.ts';
import { proposeByLoad, rememberLoad } from './propose/load.ts';
import { type Demand, hold, type Proposal } from './propose/proposal.ts';
import { correctFactors, NO_CORRECTION, proposeDisaggregated } from './propose/sla-disaggregated.ts';
import { proposeWorkers } from './propose/sla-workers.ts';
import { idleAfter, withKeepAlive } from './sleep.ts';

export interface PlannerInput {
  /** For the record only. */
  nowMs: number;
  /** What the metrics source gave, unchecked; null when it gave nothing. */
  reading: unknown;
  fleet: Fleet;
  /** What is known of the last order; absent: it is over when the fleet is as it says. */
  action?: 'under_way' | 'over';
}

export interface Decision {
  look: number;
  atMs: number;
  /** Null between two intervals. */
  observation: Observation | null;
  demand: Demand | null;
  proposed: Counts | null;
  /** What there is to be. */
  counts: Counts;
  /** The fleet is to change now; never in advisory mode. */
  acts: boolean;
  /** What was proposed for, and what held it back. */
  because: string[];
  /** The latter alone. */
  restrained: string[];
}

export interface PlannerParts {
  config: PlannerConfig;
  profile: Profile;
}

/** Milliseconds between two looks. */
export const lookMsOf = ({ mode, intervalMs, loadIntervalMs }: PlannerConfig): number =>
  mode === 'sla' ? intervalMs : loadIntervalMs;

export function look(
  before: PlannerState,
  input: PlannerInput,
  parts: PlannerParts,
): { state: PlannerState; decision: Decision } {
  const { config } = parts;
  const looksPerInterval = Math.ceil(config.intervalMs / lookMsOf(config));
  const state: PlannerState = { ...before, looks: before.looks + 1 };
  const isInterval = before.looks % looksPerInterval === 0;
  const observation = isInterval ? takeIn(state, input, parts) : null;
  if (config.mode !== 'sla') rememberEngines(state, input, looksPerInterval);
  const demand = isInterval ? predictDemand(state, config) : null;
  state.idle = idleAfter(state.idle, input.reading);
  const { proposal, sleeps } = withKeepAlive(
    propose(state, { demand, observation, fleet: input.fleet }, parts),
    { idleMs: state.idle.looks * lookMsOf(config), current: settledCounts(input.fleet), config },
  );
  // What was wanted before the last request ended is no reason to stay.
  if (sleeps) state.recent = [];
  const decision = settle(state, proposal, { input, config, looksPerInterval });
  return { state, decision: { ...decision, observation, demand } };
}

/** The interval's measurements become history and correction factors. */
function takeIn(state: PlannerState, { reading, fleet }: PlannerInput, parts: PlannerParts): Observation {
  const { config, profile } = parts;
  const { observation, baseline } = observe(state.baseline, reading, config.intervalMs);
  state.baseline = baseline;
  if (observation.kind === 'held') return observation;
  const kept = (history: readonly number[], value: number) =>
    [...history, value].slice(-config.historyPoints);
  const { requests, elapsedMs } = observation;
  state.requests = kept(state.requests, (requests * config.intervalMs) / elapsedMs);
  if (requests > 0) state.inputTokens = kept(state.inputTokens, observation.meanInputTokens);
  if (observation.meanOutputTokens > 0)
    state.outputTokens = kept(state.outputTokens, observation.meanOutputTokens);
  state.waiting = observation.waiting;
  correct(state, observation, { fleet, parts: { config, profile } });
  return observation;
}

function correct(
  state: PlannerState,
  observation: Measured,
  at: { fleet: Fleet; parts: PlannerParts },
): void {
  const { config, profile } = at.parts;
  const { ttftMs, itlMs } = config;
  // Prompts wait for those that compute them.
  const meanWorkers = at.fleet.prefill?.ready ?? observation.meanWorkers;
  const measured = { ...observation, meanWorkers };
  state.calibration = calibrate(state.calibration, measured, { profile, targets: { ttftMs, itlMs } });
  const decodeWorkers = at.fleet.decode?.ready ?? 0;
  if (config.corrected)
    state.factors = correctFactors(state.factors, observation, { profile, decodeWorkers });
  else state.factors = NO_CORRECTION;
}

function rememberEngines(state: PlannerState, { reading }: PlannerInput, windowReadings: number): void {
  const { observation, baseline } = observe(null, reading, 1);
  const isSound = observation.kind === 'held' && observation.why === 'first';
  if (isSound) state.load = rememberLoad(state.load, (baseline as Metrics).engines, windowReadings);
}

/** Both modes: the load mode's counts, at least the SLA mode's. */
function propose(
  state: PlannerState,
  { demand, observation, fleet }: { demand: Demand | null; observation: Observation | null; fleet: Fleet },
  parts: PlannerParts,
): Proposal {
  const { mode } = parts.config;
  if (demand !== null && mode !== 'load') {
    const bySla =
      observation?.kind === 'held' ? hold(`metrics: ${observation.why}`) : proposeBySla(state, demand, parts);
    if (bySla.kind === 'counts') state.least = bySla.counts;
    if (mode === 'sla') return bySla;
  }
  const byLoad = proposeByLoadNow(state, fleet, parts);
  const { least } = state;
  if (mode === 'load' || least === null) return byLoad;
  const current = settledCounts(fleet);
  const counts: Record<string, number> = {};
  for (const role of rolesOf(current)) {
    const wanted = byLoad.kind === 'counts' ? byLoad.counts[role]! : current[role]!;
    counts[role] = Math.max(wanted, least[role] ?? 0);
  }
  return {
    kind: 'counts',
    counts,
    because: `${byLoad.because}; at least ${JSON.stringify(least)} by demand`,
  };
}

function proposeBySla(
  { calibration, factors }: PlannerState,
  demand: Demand,
  { config, profile }: PlannerParts,
): Proposal {
  const { ttftMs, itlMs, lossShare, corrected, roles } = config;
  const targets = { ttftMs, itlMs };
  if (roles.worker === undefined) {
    const max = { prefill: roles.prefill!.max, decode: roles.decode!.max };
    return proposeDisaggregated({
      demand,
      factors,
      profile,
      targets,
      calibration,
      lossShare,
      corrected,
      max,
    });
  }
  return proposeWorkers({
    demand,
    calibration,
    profile,
    targets,
    lossShare,
    corrected,
    max: roles.worker.max,
  });
}

function proposeByLoadNow(state: PlannerState, fleet: Fleet, { config }: PlannerParts): Proposal {
  const { ttftMs, itlMs, maxBatchedTokens, intervalMs } = config;
  return proposeByLoad({
    memory: state.load,
    counts: settledCounts(fleet),
    targets: { ttftMs, itlMs },
    inputTokens: state.inputTokens.at(-1) ?? 0,
    maxBatchedTokens,
    windowReadings: Math.ceil(intervalMs / lookMsOf(config)),
  });
}

/** What becomes of a proposal; the state remembers what was decided. */
function settle(
  state: PlannerState,
  proposal: Proposal,
  {
    input,
    config,
    looksPerInterval,
  }: { input: PlannerInput; config: PlannerConfig; looksPerInterval: number },
): Omit<Decision, 'observation' | 'demand'> {
  const { fleet } = input;
  const current = settledCounts(fleet);
  const proposed = proposal.kind === 'counts' ? proposal.counts : current;
  const lookMs = lookMsOf(config);
  const window = Math.ceil((config.startupMs + config.intervalMs) / lookMs);
  state.recent = [...state.recent, proposed].slice(-window);
  const { action } = state;
  const isOver =
    action === null ||
    input.action === 'over' ||
    (input.action === undefined && isDone(action.counts, fleet));
  const actionAgeMs = isOver ? null : (state.looks - action!.sinceLook) * lookMs;
  if (actionAgeMs === null) state.action = null;
  const restraints = { actionAgeMs, turned: turnedOf(state), looksPerInterval, recent: state.recent };
  const { counts, restrained } = constrain(proposed, fleet, { config, restraints });
  // Whatever the fleet looks like meanwhile.
  const isUnderWay = actionAgeMs !== null && actionAgeMs < config.actionLimitMs;
  const acts = !config.advisory && !isUnderWay && !sameCounts(counts, current);
  if (acts) rememberAction(state, { counts, current });
  return {
    look: state.looks,
    atMs: input.nowMs,
    proposed: proposal.kind === 'counts' ? proposal.counts : null,
    counts,
    acts,
    because: [proposal.because, ...restrained],
    restrained,
  };
}

/** In place: what has been ordered, and which roles it turned. */
export function rememberAction(
  state: PlannerState,
  { counts, current }: { counts: Counts; current: Counts },
): void {
  state.action = { counts, sinceLook: state.looks };
  const turned = { ...state.turned };
  for (const role of rolesOf(counts)) {
    const change = { to: counts[role]!, from: current[role] ?? 0 };
    const direction = directionOf(change);
    if (change.to !== change.from && turned[role]?.direction !== direction) {
      turned[role] = { direction, atLook: state.looks };
    }
  }
  state.turned = turned;
}

function turnedOf({ turned, looks }: PlannerState): Restraints['turned'] {
  const ago: Restraints['turned'] = {};
  for (const role of rolesOf(turned)) {
    const { direction, atLook } = turned[role]!;
    ago[role] = { direction, looksAgo: looks - atLook };
  }
  return ago;
}

const isDone = (counts: Counts, fleet: Fleet): boolean =>
  sameCounts(counts, settledCounts(fleet)) &&
  rolesOf(fleet).every((role) => fleet[role]!.starting + fleet[role]!.draining === 0);
