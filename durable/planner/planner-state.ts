/** All that a planner remembers, as plain data that survives storage: the same state and input give the same decision. */

import * as z from 'zod';
import { DIRECTIONS } from './constrain.ts';
import { PLANNED_ROLES } from './fleet.ts';
import { METRICS } from './metrics.ts';
import { CALIBRATION } from './propose/calibration.ts';
import { LOAD_MEMORY } from './propose/load.ts';
import { FACTORS, NO_CORRECTION } from './propose/sla-disaggregated.ts';
import { IDLENESS, NOT_IDLE } from './sleep.ts';

const role = z.enum(PLANNED_ROLES);
const COUNTS = z.partialRecord(role, z.number());

export const PLANNER_STATE = z.object({
  version: z.literal(1),
  /** Looks taken. All durations are counted in them: no clock is trusted. */
  looks: z.number(),
  baseline: METRICS.nullable(),
  /** Of past intervals, oldest first; lengths only of those with traffic. */
  requests: z.array(z.number()),
  inputTokens: z.array(z.number()),
  outputTokens: z.array(z.number()),
  /** Requests that had no first token at the last look. */
  waiting: z.number(),
  calibration: CALIBRATION.nullable(),
  factors: FACTORS,
  load: LOAD_MEMORY,
  /** What the SLA mode said last: the least that the load mode may leave. */
  least: COUNTS.nullable(),
  idle: IDLENESS.default(NOT_IDLE),
  recent: z.array(COUNTS),
  turned: z.partialRecord(role, z.object({ direction: z.enum(DIRECTIONS), atLook: z.number() })),
  action: z.object({ counts: COUNTS, sinceLook: z.number() }).nullable(),
});

export type PlannerState = z.infer<typeof PLANNER_STATE>;

export const newPlannerState = (): PlannerState => ({
  version: 1,
  looks: 0,
  baseline: null,
  requests: [],
  inputTokens: [],
  outputTokens: [],
  waiting: 0,
  calibration: null,
  factors: NO_CORRECTION,
  load: {},
  least: null,
  idle: NOT_IDLE,
  recent: [],
  turned: {},
  action: null,
});
