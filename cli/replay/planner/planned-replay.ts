/**
 * A trace through a fleet that the planner sizes, beside two fleets to compare it with: one of the same mean size that never
 * changes, and the oracle's. All through the router's core in virtual time.
 */

import { type Counts, type PlannedRole, rolesOf } from '../../../durable/planner/fleet.ts';
import { type PlannerOptions, plannerConfig } from '../../../durable/planner/planner-config.ts';
import { Profile } from '../../../durable/planner/profile.ts';
import { StatorError } from '../../../durable/runtime/errors.ts';
import type { ProfileData } from '../../../durable/runtime/profile/profile-tables.ts';
import { type Cell, type Plan, planOf } from '../plan.ts';
import { type ReplayHooks, reportOfParts, simulate } from '../replay.ts';
import type { Report } from '../report.ts';
import { mockProfile } from './mock-profile.ts';
import { endOf, FixedFleets, type Outcome, oracle } from './oracle.ts';
import { PlannerPilot } from './planner-pilot.ts';
import { eachRole, plannedRoles, reported } from './roles.ts';
import { attainmentOf, missedTargets, type Targets } from './targets.ts';

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
  decisions: { at_s: number; workers: Workers<number>; because: string[] }[];
  static: FleetFigures & { workers: Workers<number> };
  /** `workers`: by interval. */
  oracle: FleetFigures & { workers: Workers<number[]> };
}

/** By role; of workers that do all, the value itself. */
type Workers<T> = T | Partial<Record<PlannedRole, T>>;

export interface PlannedReport extends Report {
  planner: PlannerReport;
}

/** Share of the requests that the oracle may lose against the largest fleet; not the planner's to choose. */
const ORACLE_LOSS = 0.01;
const DEFAULT_MIN = 1;
const DEFAULT_MAX = 16;

/** One report for each start-up time; the fixed fleets that all are compared with are replayed once. Throws as `plannedReplay`. */
export function* plannedReplays(
  cell: Cell,
  { startups, ...options }: PlannedOptions & { startups: readonly number[] },
  hooks: ReplayHooks = {},
): Generator<PlannedReport> {
  let fleets: FixedFleets | undefined;
  const known: FleetsOf = (plan, targets) => {
    fleets ??= new FixedFleets(plan, targets);
    return fleets;
  };
  for (const startup of startups) yield plannedReplay(cell, { ...options, startup }, hooks, known);
}

type FleetsOf = (plan: Plan, targets: Targets) => FixedFleets;

/** Throws `invalid_request`. */
export function plannedReplay(
  cell: Cell,
  options: PlannedOptions,
  hooks: ReplayHooks = {},
  fleetsOf: FleetsOf = (plan, targets) => new FixedFleets(plan, targets),
): PlannedReport {
  const isSplit = cell.prefillWorkers !== undefined || cell.decodeWorkers !== undefined;
  const config = configOf(options, isSplit);
  const roles = rolesOf(config.roles);
  const bound = (which: 'min' | 'max') => eachRole(roles, (role) => config.roles[role]![which]);
  const [min, max] = [bound('min'), bound('max')];
  // Nothing is known of the load yet: rather too many than too few.
  const plan = planOf(isSplit ? cell : { ...cell, workers: cell.workers ?? max.worker! });
  checkFirst(plan, { min, max });
  const profile = new Profile(options.profile ?? mockProfile(plan.engine));
  let pilot: PlannerPilot | undefined;
  const parts = simulate(plan, hooks, (simulation) => {
    pilot = new PlannerPilot(simulation, { config, profile });
    return pilot;
  });
  const { intervalMs, startupMs, ttftMs, itlMs } = config;
  const targets = { ttftMs, itlMs };
  const endMs = endOf(parts);
  const paid = pilot!.paidMs(endMs);
  const planned = {
    missed: missedTargets(plan, parts.recorder, targets),
    paidMs: roles.reduce((sum, role) => sum + paid[role]!, 0),
  };
  const fleets = fleetsOf(plan, targets);
  const same = eachRole(roles, (role) => Math.max(1, Math.round(paid[role]! / Math.max(endMs, 1))));
  const best = oracle(plan, fleets, {
    targets,
    intervalMs,
    startupMs,
    lossShare: ORACLE_LOSS,
    min: eachRole(roles, (role) => Math.max(1, min[role]!)),
    max,
  });
  return {
    ...reportOfParts(parts),
    planner: {
      mode: config.mode,
      ttft_ms: ttftMs,
      itl_ms: itlMs,
      startup_s: startupMs / 1000,
      interval_s: intervalMs / 1000,
      predictor: config.predictor,
      ...figures(planned),
      decisions: pilot!.decisions
        .filter(({ acts }) => acts)
        .map(({ atMs, counts, because }) => ({ at_s: atMs / 1000, workers: reported(counts), because })),
      static: { workers: reported(same), ...figures(fleets.of(same)) },
      oracle: { ...figures(best), workers: reported(best.workers) },
    },
  };
}

/** Those that are there at the start. */
function checkFirst(plan: Plan, { min, max }: { min: Counts; max: Counts }): void {
  plannedRoles(plan).forEach((role, at) => {
    const { workers } = plan.pools[at]!;
    if (workers >= min[role]! && workers <= max[role]!) return;
    const flag = role === 'worker' ? '--workers' : `--${role}-workers`;
    throw invalid(`${flag} ${workers} is not from --min ${min[role]} to --max ${max[role]}`);
  });
}

const HOUR_MS = 3_600_000;

const figures = ({ missed, paidMs }: Outcome): FleetFigures => ({
  attainment: attainmentOf(missed),
  worker_hours: paidMs / HOUR_MS,
});

function configOf(options: PlannedOptions, isSplit: boolean) {
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
    roles: isSplit ? { prefill: { min, max }, decode: { min, max } } : { worker: { min, max } },
    ...options.config,
  });
}

const invalid = (what: string) => new StatorError('invalid_request', what);
