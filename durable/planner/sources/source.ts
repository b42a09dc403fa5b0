/** Where the planner reads what happens. What it gives is checked by `observe.ts` alone; it may be slow, throw or be wrong. */

import type { Metrics } from '../metrics.ts';

export interface MetricsSource {
  /** What it says now, of the shape `Metrics` if all is well. `fromRouter`: what the namespace's Router object counts. */
  read(fromRouter: Promise<Metrics>): Promise<unknown>;
}

export interface SourceParts {
  namespace: string;
}
