/**
 * A trace through the real router core and the mock engine in virtual time (semantics §10): nothing sleeps, nothing is
 * random but by seed, so the same cell gives the same report. No state outlives a call; prompts are hashed once per
 * trace and block size, so that many cells of one trace are cheap.
 */

import { VirtualHost } from '../../durable/polyfill/virtual-host.ts';
import { DirectRouter } from './direct-router.ts';
import { type Cell, type Plan, type PoolPlan, planOf } from './plan.ts';
import { Pool } from './pool.ts';
import { Recorder } from './recorder.ts';
import { type Report, reportOf } from './report.ts';
import { simulate } from './simulation.ts';

export interface ReplayHooks {
  /** Hears now and then how many requests have arrived. */
  progress?: (arrived: number) => void;
  /** False: every decode step is a pass of its own; slower, and the results are the same. */
  skipsSteps?: boolean;
}

/** Throws `invalid_request` for a cell that contradicts itself. */
export function replay(cell: Cell, hooks: ReplayHooks = {}): Report {
  const plan = planOf(cell);
  const recorder = new Recorder(plan.trace.requests.length);
  const host = new VirtualHost({ seed: plan.seed });
  const random = () => host.random();
  const routers = plan.pools.map(({ settings }) => new DirectRouter(settings, random));
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
  try {
    simulate({ plan, pools, recorder, progress: hooks.progress ?? (() => {}) });
  } finally {
    for (const router of routers) router.dispose();
  }
  return reportOf(
    plan,
    recorder,
    pools.flatMap(({ workers }) => workers),
  );
}

/** Prompts are looked for where they are computed. */
const hostOf = ({ host }: Plan, role: PoolPlan['role']) =>
  host === null || role === 'decode' ? {} : { host };
