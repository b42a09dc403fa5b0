/** How a planner plans; checked once, so that the rest may trust it. */

import * as z from 'zod';
import { StatorError } from '../runtime/errors.ts';
import { LIMITS } from '../runtime/limits.ts';
import { PLANNED_ROLES, type PlannedRole } from './fleet.ts';
import { PREDICTORS } from './predict/registry.ts';

/** `sla`: from demand, a profile and targets. `load`: from each engine's queue, ±1. `both`: the first is the least. */
const PLANNER_MODES = ['sla', 'load', 'both'] as const;

const BOUNDS = z.strictObject({
  min: z.number().int().min(0).max(LIMITS.workers),
  max: z.number().int().min(1).max(LIMITS.workers),
  gpusPerWorker: z.number().int().min(1).default(1),
});

const CONFIG = z.strictObject({
  mode: z.enum(PLANNER_MODES),
  /** Says what it would do, and does not. */
  advisory: z.boolean().default(false),
  ttftMs: z.number().positive().default(500),
  itlMs: z.number().positive().default(50),
  /** Between two looks at demand, and between two looks at engines. */
  intervalMs: z.number().int().min(1_000).default(60_000),
  loadIntervalMs: z.number().int().min(1_000).default(5_000),
  predictor: z.enum(PREDICTORS).default('moving-average'),
  predictLog: z.boolean().default(false),
  averagedPoints: z.number().int().min(1).default(5),
  seasonPoints: z.number().int().min(2).default(1_440),
  historyPoints: z
    .number()
    .int()
    .min(1)
    .max(LIMITS.plannerHistoryPoints)
    .default(LIMITS.plannerHistoryPoints),
  /** Share of the requests that may be lost for want of workers, of those that can be kept at all. */
  lossShare: z.number().positive().max(1).default(0.01),
  /** False: the profile is believed as it is. */
  corrected: z.boolean().default(true),
  /** How long an ordered worker takes to be ready. */
  startupMs: z.number().min(0).default(0),
  /** An action that has not ended by then is given up. */
  actionLimitMs: z.number().positive().default(1_800_000),
  /** How long a fleet that may go to zero stays after its last request; absent: as demand says. */
  keepAliveMs: z.number().min(0).optional(),
  /** Workers that one decision adds or takes away. */
  maxStep: z.number().int().min(1).default(8),
  /** GPUs of all roles together; absent: no limit. */
  gpuBudget: z.number().int().min(1).optional(),
  /** Tokens of one pass of an engine. */
  maxBatchedTokens: z.number().int().min(1).default(8_192),
  roles: z.partialRecord(z.enum(PLANNED_ROLES), BOUNDS),
});

export type PlannerConfig = Readonly<z.output<typeof CONFIG>>;
export type PlannerOptions = z.input<typeof CONFIG>;

/** Throws `invalid_request` that names what contradicts what. */
export function plannerConfig(options: PlannerOptions): PlannerConfig {
  const parsed = CONFIG.safeParse(options);
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0]!;
    throw invalid(`${path.join('.')}: ${message}`);
  }
  const config = parsed.data;
  checkRoles(config);
  if (config.loadIntervalMs > config.intervalMs) {
    throw invalid(`loadIntervalMs ${config.loadIntervalMs} is longer than intervalMs ${config.intervalMs}`);
  }
  return config;
}

function checkRoles({ roles, gpuBudget }: PlannerConfig): void {
  const has = (role: PlannedRole) => roles[role] !== undefined;
  if (has('worker') === (has('prefill') || has('decode')) || has('prefill') !== has('decode')) {
    throw invalid('roles: either worker, or prefill and decode');
  }
  let least = 0;
  let awake = 0;
  for (const role of PLANNED_ROLES) {
    const bounds = roles[role];
    if (bounds === undefined) continue;
    if (bounds.min > bounds.max) throw invalid(`roles.${role}: min ${bounds.min} is above max ${bounds.max}`);
    least += bounds.min * bounds.gpusPerWorker;
    awake += bounds.gpusPerWorker;
  }
  if (gpuBudget !== undefined && gpuBudget < least) {
    throw invalid(`gpuBudget ${gpuBudget} is below the ${least} GPUs of the least fleet`);
  }
  if (gpuBudget !== undefined && gpuBudget < awake) {
    throw invalid(`gpuBudget ${gpuBudget} is below the ${awake} GPUs of one worker of each role`);
  }
}

const invalid = (what: string) =>
  new StatorError('invalid_request', `the planner's configuration is wrong: ${what}`);
