/**
 * The oracle: per interval the smallest fleet that keeps the SLA, with the future known. To keep it is to lose, of the requests
 * that come in the interval, at most `lossShare` to having fewer workers than the largest fleet.
 *
 * Found by replaying the trace with every fleet of fixed size, taking each interval's smallest that keeps it, and replaying
 * that schedule; intervals that then do not keep it (backlog of the one before, caches that are cold) get one worker more,
 * and again. Prefill and decode workers are searched one after the other, the others being all there are, each with a share of the
 * loss; what an interval is short of then says which target it misses. Cost: a replay for each size of a role, and one for each round.
 */

import { type Counts, type PlannedRole, sameCounts } from '../../../durable/planner/fleet.ts';
import type { Plan } from '../plan.ts';
import { simulate } from '../replay.ts';
import type { Pilot, SimulationParts } from '../simulation.ts';
import { eachRole, plannedRoles, withWorkers } from './roles.ts';
import { SchedulePilot } from './schedule-pilot.ts';
import { MISSED, missedTargets, type Targets } from './targets.ts';

/** Rounds of mending the schedule. */
const ROUNDS = 10;

export interface OracleParts {
  targets: Targets;
  intervalMs: number;
  startupMs: number;
  lossShare: number;
  /** By role. */
  min: Counts;
  max: Counts;
}

export interface Outcome {
  /** By place in the trace (`missedTargets`). */
  missed: Uint8Array;
  /** Worker milliseconds paid for. */
  paidMs: number;
}

type Schedule = Partial<Record<PlannedRole, number[]>>;

export interface OracleOutcome extends Outcome {
  /** By role, then by interval. */
  workers: Schedule;
}

/** What a fleet of fixed size does; asked for more than once, replayed once. */
export class FixedFleets {
  readonly #plan: Plan;
  readonly #targets: Targets;
  readonly #known: { counts: Counts; outcome: Outcome }[] = [];

  constructor(plan: Plan, targets: Targets) {
    this.#plan = plan;
    this.#targets = targets;
  }

  of(counts: Counts): Outcome {
    const known = this.#known.find((each) => sameCounts(each.counts, counts));
    if (known !== undefined) return known.outcome;
    const { plan, pools, recorder } = simulate(withWorkers(this.#plan, counts), {});
    const workers = pools.reduce((sum, pool) => sum + pool.workers.length, 0);
    const outcome = {
      missed: missedTargets(plan, recorder, this.#targets),
      paidMs: workers * endOf({ recorder }),
    };
    this.#known.push({ counts, outcome });
    return outcome;
  }
}

export function oracle(plan: Plan, fleets: FixedFleets, parts: OracleParts): OracleOutcome {
  const { min, max, intervalMs, lossShare } = parts;
  const roles = plannedRoles(plan);
  const intervalOf = (at: number) => Math.floor(plan.trace.requests[at]!.atMs / plan.speedup / intervalMs);
  const intervals = intervalOf(plan.trace.requests.length - 1) + 1;
  const perInterval = (missed: Uint8Array, isMeant: (missed: number) => boolean): number[] => {
    const counts = new Array<number>(intervals).fill(0);
    missed.forEach((each, at) => {
      if (isMeant(each)) counts[intervalOf(at)]!++;
    });
    return counts;
  };
  const metIn = (missed: Uint8Array) => perInterval(missed, (each) => each === 0);
  const came = perInterval(new Uint8Array(plan.trace.requests.length), () => true);
  const largest = fleets.of(max).missed;
  const best = metIn(largest);
  const kept = (share: number) => best.map((met, at) => met - share * came[at]!);
  const workers: Schedule = eachRole(roles, (role) => {
    const wanted = kept(lossShare / roles.length);
    const sizes = new Array<number>(intervals).fill(max[role]!);
    for (let size = max[role]! - 1; size >= min[role]!; size--) {
      const met = metIn(fleets.of({ ...max, [role]: size }).missed);
      for (let at = 0; at < intervals; at++) if (met[at]! >= wanted[at]!) sizes[at] = size;
    }
    return sizes;
  });
  const wanted = kept(lossShare);
  const lateAtBest = perInterval(largest, (each) => (each & MISSED.ttft) !== 0);
  for (let round = 0; ; round++) {
    const outcome = follow(plan, workers, parts);
    const met = metIn(outcome.missed);
    const late = perInterval(outcome.missed, (each) => (each & MISSED.ttft) !== 0);
    /** Who an interval is short of; null: it keeps the SLA, or nobody can be added. */
    const short = came.map((_, at): PlannedRole | null => {
      if (met[at]! >= wanted[at]!) return null;
      const order: PlannedRole[] =
        late[at]! > lateAtBest[at]! ? ['worker', 'prefill', 'decode'] : ['worker', 'decode', 'prefill'];
      return order.find((role) => workers[role] !== undefined && workers[role][at]! < max[role]!) ?? null;
    });
    if (round === ROUNDS || short.every((role) => role === null)) return { ...outcome, workers };
    short.forEach((role, at) => {
      if (role !== null) workers[role]![at]!++;
    });
  }
}

function follow(plan: Plan, workers: Schedule, parts: OracleParts): Outcome {
  const { intervalMs, startupMs, targets } = parts;
  const roles = plannedRoles(plan);
  // What must be ready sooner than a worker starts was ordered before the trace begins.
  const soon = 1 + Math.ceil(startupMs / intervalMs);
  const first = eachRole(roles, (role) => Math.max(...workers[role]!.slice(0, soon)));
  let pilots: SchedulePilot[] = [];
  const simulated = simulate(withWorkers(plan, first), {}, ({ pools }: SimulationParts) => {
    pilots = roles.map(
      (role, at) => new SchedulePilot(pools[at]!, { intervalMs, workers: workers[role]! }, startupMs),
    );
    return together(pilots);
  });
  const endMs = endOf(simulated);
  return {
    missed: missedTargets(plan, simulated.recorder, targets),
    paidMs: pilots.reduce((sum, { fleet }) => sum + fleet.paidMs(endMs), 0),
  };
}

const together = (pilots: readonly Pilot[]): Pilot => ({
  get dueMs() {
    return Math.min(...pilots.map(({ dueMs }) => dueMs));
  },
  advance(nowMs) {
    for (const pilot of pilots) pilot.advance(nowMs);
  },
});

/** When the last request ended. */
export const endOf = ({ recorder }: Pick<SimulationParts, 'recorder'>): number =>
  recorder.endMs.reduce((last, endMs) => Math.max(last, endMs), 0);
