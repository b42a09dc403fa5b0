/**
 * A trace through the real router and the mock engine in virtual time (semantics §10): nothing sleeps, nothing is random
 * but by seed, so the same cell gives the same report. No state outlives a call; prompts are hashed once per trace and
 * block size, so that many cells of one trace are cheap.
 *
 * `replayThroughObjects` runs the whole Router objects, sockets, timers and RPC included, on the virtual clock: what the
 * command does. `replay` calls the router's core directly, with the same frames, for whoever runs many cells: it takes
 * two thirds of the time and no event loop. Both give the same report (test/sim/same-result.test.ts).
 */

import { settled, VirtualHost } from '../../durable/polyfill/virtual-host.ts';
import { DirectRouter } from './direct-router.ts';
import { ObjectRouter } from './object-router.ts';
import { type Cell, type Plan, type PoolPlan, planOf } from './plan.ts';
import { Pool } from './pool.ts';
import { Recorder } from './recorder.ts';
import { type Report, reportOf } from './report.ts';
import type { SimRouter } from './sim-router.ts';
import { type Pilot, type SimulationParts, steps } from './simulation.ts';

export interface ReplayHooks {
  /** Hears now and then how many requests have arrived. */
  progress?: (arrived: number) => void;
  /** False: every decode step is a pass of its own; slower, and the results are the same. */
  skipsSteps?: boolean;
}

/** Throws `invalid_request` for a cell that contradicts itself. */
export function replay(cell: Cell, hooks: ReplayHooks = {}): Report {
  return reportOfParts(simulate(planOf(cell), hooks));
}

/** The whole simulation of a plan through the router's core; `pilotOf` may make who changes its fleet on the way. */
export function simulate(
  plan: Plan,
  hooks: ReplayHooks,
  pilotOf?: (parts: SimulationParts) => Pilot,
): SimulationParts {
  const host = new VirtualHost({ seed: plan.seed });
  const random = () => host.random();
  const routers = plan.pools.map(({ settings }) => new DirectRouter(settings, random));
  const parts = partsOf(plan, routers, hooks);
  if (pilotOf !== undefined) parts.pilot = pilotOf(parts);
  try {
    for (const _ of steps(parts));
  } finally {
    for (const router of routers) router.dispose();
  }
  return parts;
}

/** Throws as `replay` does. */
export async function replayThroughObjects(cell: Cell, hooks: ReplayHooks = {}): Promise<Report> {
  const plan = planOf(cell);
  const host = new VirtualHost({ seed: plan.seed });
  const routers = plan.pools.map(({ role, settings }) => new ObjectRouter(settings, host, role));
  const parts = partsOf(plan, routers, hooks);
  try {
    for (const router of routers) await router.ready();
    await settled();
    for (const nowMs of steps(parts)) await host.advance(nowMs - host.nowMs());
  } finally {
    for (const router of routers) router.dispose();
  }
  return reportOfParts(parts);
}

function partsOf(plan: Plan, routers: readonly SimRouter[], hooks: ReplayHooks): SimulationParts {
  const recorder = new Recorder(plan.trace.requests.length);
  const pools = plan.pools.map(
    ({ role, workers, settings }, at) =>
      new Pool(
        {
          workers,
          engine: { ...plan.engine, role, ...hostOf(plan, role) },
          publishesKvEvents: settings.routerMode === 'kv' && role !== 'decode',
          tracksOutputBlocks: settings.routerTrackOutputBlocks,
          skipsSteps: hooks.skipsSteps ?? true,
          interTokenMs: recorder.interTokenMs,
        },
        routers[at]!,
      ),
  );
  return { plan, pools, recorder, progress: hooks.progress ?? (() => {}) };
}

export function reportOfParts({ plan, pools, recorder }: SimulationParts): Report {
  const workers = pools.flatMap((pool) => pool.workers);
  return reportOf(plan, recorder, workers);
}

/** Prompts are looked for where they are computed. */
const hostOf = ({ host }: Plan, role: PoolPlan['role']) =>
  host === null || role === 'decode' ? {} : { host };
