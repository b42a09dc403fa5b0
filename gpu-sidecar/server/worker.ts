/**
 * What the methods of a worker work with: the engine and everything around it, handed in, so that a test can run any
 * method with a scripted engine and hand-driven time.
 */

import type { Clock } from '../../durable/runtime/clock.ts';
import type { RemotePrefill } from '../disagg/remote-prefill.ts';
import type { Engine } from '../engines/engine.ts';
import type { ProgressReporter } from '../fleet/progress.ts';
import type { WorkerEvents } from '../fleet/worker-events.ts';
import type { Lifecycle } from '../lifecycle.ts';
import type { Timers } from '../timers.ts';
import type { Admission } from './admission.ts';
import type { ResponseRecords } from './response-records.ts';
import type { WorkerLimits } from './worker-limits.ts';
import type { WorkerMetrics } from './worker-metrics.ts';

export interface Worker {
  /** 16 hex digits. */
  readonly instanceId: string;
  readonly engine: Engine;
  readonly lifecycle: Lifecycle;
  readonly admission: Admission;
  readonly progress: ProgressReporter;
  readonly events: WorkerEvents;
  readonly records: ResponseRecords;
  /** null: every prompt is computed here. */
  readonly remotePrefill: RemotePrefill | null;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly limits: WorkerLimits;
  readonly metrics: WorkerMetrics;
  readonly startedMs: number;
  /** Begins the orderly end; running requests are cut off after `deadlineMs`. */
  drain(deadlineMs: number): void;
}
