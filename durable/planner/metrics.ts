/**
 * What a metrics source says at one time: counters since it began, and gauges. The Router object, a Prometheus server and
 * the simulator all give this shape; only `observe.ts` reads it. Numbers may be NaN, late or out of order: nothing here is
 * trusted.
 */

import * as z from 'zod';
import { LIMITS } from '../runtime/limits.ts';
import type { EnginePass } from '../runtime/pass-sample.ts';
import { HISTOGRAM } from './histogram.ts';

const PASS: z.ZodType<EnginePass> = z.object({
  prefillTokens: z.number(),
  decodeKvTokens: z.number(),
  queuedTokens: z.number(),
  wallMs: z.number(),
});

const ENGINE = z.object({
  id: z.string(),
  /** Context tokens of the requests that decode, now. */
  decodeKvTokens: z.number(),
  maxKvTokens: z.number(),
  /** Since the last reading. */
  passes: z.array(PASS).max(LIMITS.plannerPasses),
});

export type EngineReading = z.infer<typeof ENGINE>;

export const METRICS = z.object({
  /** By the clock of the source. */
  atMs: z.number(),
  /** Requests that came, and tokens of their prompts. */
  arrived: z.number(),
  inputTokens: z.number(),
  /** Sum over time of the workers that took requests: its difference is their mean number. */
  workerMs: z.number(),
  /** Requests without a first token, now. */
  waiting: z.number(),
  /** Requests that have not ended, now; absent where the source does not know. */
  inFlight: z.number().optional(),
  /** Of requests with a first token: prompt tokens that had to be computed, and milliseconds since they came. */
  computedTokens: HISTOGRAM,
  ttftMs: HISTOGRAM,
  /** Of ended requests: tokens, mean milliseconds between two of them. */
  outputTokens: HISTOGRAM,
  itlMs: HISTOGRAM,
  /** By role, where the source knows them. */
  engines: z.partialRecord(z.enum(['worker', 'prefill', 'decode']), z.array(ENGINE).max(LIMITS.workers)),
});

export type Metrics = z.infer<typeof METRICS>;
