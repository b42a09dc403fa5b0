/**
 * The oracle: per interval the smallest fleet that keeps the SLA, with the future known. To keep it is to lose, of the requests
 * that come in the interval, at most `lossShare` to having fewer workers than the largest fleet.
 *
 * Found by replaying the trace with every fleet of fixed size, taking each interval's smallest that keeps it, and replaying
 * that schedule; intervals that then do not keep it (backlog of the one before, caches that are cold) get one worker more,
 * and again. Cost: a replay for each size, and one for each round.
 */

import type { Plan } from '../plan.ts';
import { simulate } from '../replay.ts';
import type { SimulationParts } from '../simulation.ts';
import { SchedulePilot } from './schedule-pilot.ts';
import { metRequests, type Targets } from './targets.ts';

/** Rounds of mending the schedule. */
const ROUNDS = 10;

export interface OracleParts {
  targets: Targets;
  intervalMs: number;
  startupMs: number;
  lossShare: number;
  min: number;
  max: number;
}

export interface Outcome {
  met: Uint8Array;
  /** Worker milliseconds paid for. */
  paidMs: number;
}

export interface OracleOutcome extends Outcome {
  /** By interval. */
  workers: number[];
}

/** What a fleet of fixed size does; asked for more than once, replayed once. */
export class FixedFleets {
  readonly #plan: Plan;
  readonly #targets: Targets;
  readonly #known = new Map<number, Outcome>();

  constructor(plan: Plan, targets: Targets) {
    this.#plan = plan;
    this.#targets = targets;
  }

  of(workers: number): Outcome {
    const known = this.#known.get(workers);
    if (known !== undefined) return known;
    const { plan, recorder } = simulate(withWorkers(this.#plan, workers), {});
    const outcome = {
      met: metRequests(plan, recorder, this.#targets),
      paidMs: workers * endOf({ recorder }),
    };
    this.#known.set(workers, outcome);
    return outcome;
  }
}

export function oracle(plan: Plan, fleets: FixedFleets, parts: OracleParts): OracleOutcome {
  const { min, max, intervalMs } = parts;
  const intervalOf = (at: number) => Math.floor(plan.trace.requests[at]!.atMs / plan.speedup / intervalMs);
  const intervals = intervalOf(plan.trace.requests.length - 1) + 1;
  const perInterval = (met: Uint8Array): number[] => {
    const counts = new Array<number>(intervals).fill(0);
    met.forEach((each, at) => {
      counts[intervalOf(at)]! += each;
    });
    return counts;
  };
  const came = perInterval(new Uint8Array(plan.trace.requests.length).fill(1));
  const wanted = perInterval(fleets.of(max).met).map((met, at) => met - parts.lossShare * came[at]!);
  const workers = new Array<number>(intervals).fill(max);
  for (let size = max - 1; size >= min; size--) {
    const met = perInterval(fleets.of(size).met);
    for (let at = 0; at < intervals; at++) if (met[at]! >= wanted[at]!) workers[at] = size;
  }
  for (let round = 0; ; round++) {
    const outcome = follow(plan, workers, parts);
    const met = perInterval(outcome.met);
    const broken = workers.map((size, at) => met[at]! < wanted[at]! && size < max);
    if (round === ROUNDS || !broken.includes(true)) return { ...outcome, workers };
    broken.forEach((isBroken, at) => {
      if (isBroken) workers[at]!++;
    });
  }
}

function follow(plan: Plan, workers: readonly number[], parts: OracleParts): Outcome {
  const { intervalMs, startupMs, targets } = parts;
  // What must be ready sooner than a worker starts was ordered before the trace begins.
  const first = Math.max(...workers.slice(0, 1 + Math.ceil(startupMs / intervalMs)));
  let pilot: SchedulePilot | undefined;
  const simulated = simulate(withWorkers(plan, first), {}, (simulation) => {
    pilot = new SchedulePilot(simulation, { intervalMs, workers }, startupMs);
    return pilot;
  });
  const met = metRequests(plan, simulated.recorder, targets);
  return { met, paidMs: pilot!.fleet.paidMs(endOf(simulated)) };
}

function withWorkers(plan: Plan, workers: number): Plan {
  return { ...plan, pools: plan.pools.map((pool) => ({ ...pool, workers })) };
}

/** When the last request ended. */
export const endOf = ({ recorder }: Pick<SimulationParts, 'recorder'>): number =>
  recorder.endMs.reduce((last, endMs) => Math.max(last, endMs), 0);
