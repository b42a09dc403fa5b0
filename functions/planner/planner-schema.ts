/** What is asked of a planner over HTTP, and what it answers. */
import * as z from 'zod';
import { LIMITS } from '../../durable/runtime/limits.ts';

const count = z.number().int().min(0);
const roles = ['worker', 'prefill', 'decode'] as const;
const counts = z.partialRecord(z.enum(roles), count);
const fleet = z.partialRecord(z.enum(roles), z.object({ ready: count, starting: count, draining: count }));

export const orderSchema = z.object({
  id: count,
  /** What there is to be, by role. */
  counts,
  /** The same in Dynamo's terms: -1, unchanged, where the fleet has no such role. Workers that do both are `numDecode`. */
  numPrefill: z.number().int(),
  numDecode: z.number().int(),
  issuedMs: z.number(),
  outcome: z.enum(['pending', 'done', 'failed']),
  why: z.string(),
});

/** `order` is null when none came in time. */
export const orderAnswerSchema = z.object({ order: orderSchema.nullable() });

const executor = z.string().min(1).max(LIMITS.modelNameLength);

export const completionSchema = z.strictObject({
  outcome: z.enum(['done', 'failed']),
  why: z.string().optional(),
  executor: executor.optional(),
});

export const completedSchema = z.object({ id: count, outcome: z.enum(['done', 'failed', 'superseded']) });

export const orderQuery = z.strictObject({
  after: z.coerce.number().int().min(0).default(0),
  wait_ms: z.coerce.number().int().min(0).max(LIMITS.plannerWaitMs).default(LIMITS.plannerWaitMs),
  executor: executor.optional(),
});

export const plannerStatusSchema = z.object({
  mode: z.enum(['off', 'sla', 'load', 'both']),
  advisory: z.boolean(),
  connector: z.string(),
  targets: z.object({ ttftMs: z.number(), itlMs: z.number() }),
  bounds: z.partialRecord(z.enum(roles), z.object({ min: count, max: count })),
  gpuBudget: count.nullable(),
  fleet: fleet.nullable(),
  wants: counts.nullable(),
  because: z.array(z.string()),
  order: orderSchema.extend({ executor: z.string().nullable() }).nullable(),
  problem: z.string().nullable(),
});
