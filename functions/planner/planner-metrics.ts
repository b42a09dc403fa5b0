/** What the planners of all namespaces see and want, as Prometheus text; a namespace without a planner has no line. */
import type { PlannerStatus } from '../../durable/planner/rpc.ts';
import { Metrics } from '../../durable/runtime/metrics.ts';

/** `prefix`: setting `metricsPrefix`. */
export function plannerMetrics(prefix: string, planners: ReadonlyMap<string, PlannerStatus>): string {
  const metrics = new Metrics({ prefix });
  const workers = metrics.gauge('planner_workers', 'Workers as the planner found them last.', [
    'namespace',
    'role',
    'state',
  ]);
  const wanted = metrics.gauge('planner_wanted_workers', 'Workers that there are to be.', [
    'namespace',
    'role',
  ]);
  const looks = metrics.counter('planner_looks_total', 'Times that the planner looked.', ['namespace']);
  const problem = metrics.gauge('planner_problem', '1 while something keeps the planner from planning.', [
    'namespace',
  ]);
  const pending = metrics.gauge('planner_order_pending', '1 while an order is under way.', ['namespace']);
  for (const [namespace, status] of planners) {
    if (status.mode === 'off' && status.problem === null) continue;
    for (const [role, found] of Object.entries(status.fleet ?? {})) {
      for (const [state, count] of Object.entries(found)) workers.labels(namespace, role, state).set(count);
    }
    for (const [role, count] of Object.entries(status.wants ?? {})) wanted.labels(namespace, role).set(count);
    looks.labels(namespace).add(status.looks);
    problem.labels(namespace).set(status.problem === null ? 0 : 1);
    pending.labels(namespace).set(status.order?.outcome === 'pending' ? 1 : 0);
  }
  return metrics.text();
}
