/**
 * What was counted of the pools since the object started: how often each was selected, tried instead of another, or failed.
 * Pools that a new configuration no longer has keep their totals until the object ends; their number is bounded.
 */
import { LIMITS } from '../runtime/limits.ts';
import { Metrics } from '../runtime/metrics.ts';
import {
  type GlobalRouterConfig,
  POOL_CHOICES,
  type PoolChoice,
  type PoolCount,
  type PoolTotals,
} from './rpc.ts';

const FAILED = 'failed:';
const isChoice = (what: string): what is PoolChoice => (POOL_CHOICES as readonly string[]).includes(what);

export class PoolBook {
  readonly #totals = new Map<string, PoolTotals>();

  count({ pool, what, count }: PoolCount): void {
    const totals = this.#of(pool);
    if (totals === null) return;
    if (isChoice(what)) totals[what] += count;
    else if (what.startsWith(FAILED)) {
      const code = what.slice(FAILED.length);
      totals.failures[code] = (totals.failures[code] ?? 0) + count;
    }
  }

  /** By pool; those of the configuration are there from the start. */
  totals(config: GlobalRouterConfig | null): Record<string, PoolTotals> {
    for (const name of poolNamesOf(config)) this.#of(name);
    return Object.fromEntries(this.#totals);
  }

  /** Prometheus text. */
  metrics(prefix: string, config: GlobalRouterConfig | null, workers: Record<string, number>): string {
    const metrics = new Metrics({ prefix });
    const requests = metrics.counter(
      'global_router_requests_total',
      'Requests given to a pool: by the grid (selected), after another failed (retried), after all had (overflow).',
      ['pool', 'why'],
    );
    const failures = metrics.counter(
      'global_router_failures_total',
      'Requests that a pool could not serve.',
      ['pool', 'code'],
    );
    const live = metrics.gauge('global_router_pool_workers', 'Workers of a pool that take requests.', [
      'pool',
    ]);
    for (const [pool, totals] of Object.entries(this.totals(config))) {
      for (const why of POOL_CHOICES) requests.labels(pool, why).add(totals[why]);
      for (const [code, count] of Object.entries(totals.failures)) failures.labels(pool, code).add(count);
    }
    for (const [pool, count] of Object.entries(workers)) live.labels(pool).set(count);
    return metrics.text();
  }

  #of(pool: string): PoolTotals | null {
    let totals = this.#totals.get(pool);
    if (totals !== undefined) return totals;
    if (this.#totals.size >= LIMITS.namespaces) return null;
    totals = { selected: 0, retried: 0, overflow: 0, failures: {} };
    this.#totals.set(pool, totals);
    return totals;
  }
}

/** Each once. */
function poolNamesOf(config: GlobalRouterConfig | null): Set<string> {
  if (config === null) return new Set();
  const { groups } = config;
  const listed = groups.mode === 'agg' ? groups.agg.pools : [...groups.prefill.pools, ...groups.decode.pools];
  return new Set([...listed, ...config.openaiPools].map(({ name }) => name));
}
