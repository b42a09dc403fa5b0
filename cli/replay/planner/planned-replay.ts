/**
 * A trace through a fleet that the planner sizes, beside two fleets to compare it with: one of the same mean size that never
 * changes, and the oracle's. All through the router's core in virtual time.
 */

import { type PlannerOptions, plannerConfig } from '../../../durable/planner/planner-config.ts';
import { Profile } from '../../../durable/planner/profile.ts';
import { StatorError } from '../../../durable/runtime/errors.ts';
import type { ProfileData } from '../../../durable/runtime/profile/profile-tables.ts';
import { type Cell, planOf } from '../plan.ts';
import { type ReplayHooks, reportOfParts, simulate } from '../replay.ts';
import type { Report } from '../report.ts';
import { mockProfile } from './mock-profile.ts';
import { endOf, FixedFleets, type Outcome, oracle } from './oracle.ts';
import { PlannerPilot } from './planner-pilot.ts';
import { attainmentOf, metRequests } from './targets.ts';

/** `stator replay`'s options by the same names. */
export interface PlannedOptions {
  planner: string;
  /** Milliseconds. */
  ttft?: number | undefined;
  itl?: number | undefined;
  /** Seconds. */
  startup?: number | undefined;
  interval?: number | undefined;
  min?: number | undefined;
  max?: number | undefined;
  predictor?: string | undefined;
  /** What the planner plans by; absent: what the engines really take. */
  profile?: ProfileData | undefined;
  /** Of the planner's configuration, whatever the options above do not name. */
  config?: Partial<PlannerOptions>;
}

interface FleetFigures {
  /** Share of the requests that met both targets. */
  attainment: number;
  worker_hours: number;
}

export interface PlannerReport extends FleetFigures {
  mode: string;
  ttft_ms: number;
  itl_ms: number;
  startup_s: number;
  interval_s: number;
  predictor: string;
  /** Those that changed the fleet. */
  decisions: { at_s: number; workers: number; because: string[] }[];
  static: FleetFigures & { workers: number };
  /** `workers`: by interval. */
  oracle: FleetFigures & { workers: number[] };
}

export interface PlannedReport extends Report {
  planner: PlannerReport;
}

/** Share of the requests that the oracle may lose against the largest fleet; not the planner's to choose. */
const ORACLE_LOSS = 0.01;
const DEFAULT_MIN = 1;
const DEFAULT_MAX = 16;

/** Throws `invalid_request`. */
export function plannedReplay(cell: Cell, options: PlannedOptions, hooks: ReplayHooks = {}): PlannedReport {
  if (cell.prefillWorkers !== undefined || cell.decodeWorkers !== undefined) {
    throw invalid(
      '--planner sizes workers that do all: it does not go with --prefill-workers and --decode-workers',
    );
  }
  const config = configOf(options);
  const { min, max } = config.roles.worker!;
  // Nothing is known of the load yet: rather too many than too few.
  const plan = planOf({ ...cell, workers: cell.workers ?? max });
  const first = plan.pools[0]!.workers;
  if (first < min || first > max)
    throw invalid(`--workers ${first} is not from --min ${min} to --max ${max}`);
  const profile = new Profile(options.profile ?? mockProfile(plan.engine));
  let pilot: PlannerPilot | undefined;
  const parts = simulate(plan, hooks, (simulation) => {
    pilot = new PlannerPilot(simulation, { config, profile });
    return pilot;
  });
  const targets = { ttftMs: config.ttftMs, itlMs: config.itlMs };
  const endMs = endOf(parts);
  const planned = { met: metRequests(plan, parts.recorder, targets), paidMs: pilot!.fleet.paidMs(endMs) };
  const fleets = new FixedFleets(plan, targets);
  const same = Math.max(1, Math.round(planned.paidMs / Math.max(endMs, 1)));
  const { intervalMs, startupMs } = config;
  const lossShare = ORACLE_LOSS;
  const best = oracle(plan, fleets, {
    targets,
    intervalMs,
    startupMs,
    lossShare,
    min: Math.max(1, min),
    max,
  });
  return {
    ...reportOfParts(parts),
    planner: {
      mode: config.mode,
      ttft_ms: config.ttftMs,
      itl_ms: config.itlMs,
      startup_s: startupMs / 1000,
      interval_s: intervalMs / 1000,
      predictor: config.predictor,
      ...figures(planned),
      decisions: pilot!.decisions
        .filter(({ acts }) => acts)
        .map(({ atMs, counts, because }) => ({ at_s: atMs / 1000, workers: counts.worker!, because })),
      static: { workers: same, ...figures(fleets.of(same)) },
      oracle: { ...figures(best), workers: best.workers },
    },
  };
}

const HOUR_MS = 3_600_000;

const figures = ({ met, paidMs }: Outcome): FleetFigures => ({
  attainment: attainmentOf(met),
  worker_hours: paidMs / HOUR_MS,
});

function configOf(options: PlannedOptions) {
  const { planner, ttft, itl, startup, interval, min = DEFAULT_MIN, max = DEFAULT_MAX, predictor } = options;
  const seconds = (name: string, value: number | undefined) =>
    value === undefined ? {} : { [name]: 1000 * value };
  const given = Object.entries({ ttftMs: ttft, itlMs: itl, predictor }).filter(
    ([, value]) => value !== undefined,
  );
  return plannerConfig({
    mode: planner as PlannerOptions['mode'],
    ...Object.fromEntries(given),
    ...seconds('startupMs', startup),
    ...seconds('intervalMs', interval),
    roles: { worker: { min, max } },
    ...options.config,
  });
}

const invalid = (what: string) => new StatorError('invalid_request', what);
