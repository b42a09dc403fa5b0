/** What a component's worker counts. */

import type { Counter, Family, Metrics } from '../../durable/runtime/metrics.ts';

export interface ComponentMetrics {
  /** By endpoint and outcome (`ok`, `error`). */
  calls: Family<Counter>;
}

export function componentMetrics(metrics: Metrics): ComponentMetrics {
  return {
    calls: metrics.counter('component_requests_total', 'Calls of endpoints that ended.', [
      'endpoint',
      'outcome',
    ]),
  };
}
