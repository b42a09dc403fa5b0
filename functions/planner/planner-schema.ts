/** What is asked of a planner over HTTP, and what it answers. */
import * as z from 'zod';
import { LIMITS } from '../../durable/runtime/limits.ts';

const count = z.number().int().min(0);
const roles = ['worker', 'prefill', 'decode'] as const;
const counts = z.partialRecord(z.enum(roles), count);
const fleet = z.partialRecord(z.enum(roles), z.object({ ready: count, starting: count, draining: count }));

const demand = z.object({
  requestsPerSecond: z.number(),
  inputTokens: z.number(),
  outputTokens: z.number(),
});

/** What happened in the interval; `held`: why nothing is known. */
const observation = z.union([
  z.object({ kind: z.literal('held'), why: z.string() }),
  z.object({
    kind: z.literal('measured'),
    elapsedMs: z.number(),
    requests: z.number(),
    meanInputTokens: z.number(),
    meanOutputTokens: z.number(),
    meanComputedTokens: z.number(),
    meanTtftMs: z.number(),
    meanItlMs: z.number(),
    meanWorkers: z.number(),
    waiting: z.number(),
  }),
]);

export const decisionSchema = z.object({
  id: count,
  /** `wake`: a request waited for a sleeping model. */
  kind: z.enum(['look', 'wake']),
  look: count,
  atMs: z.number(),
  fleet,
  /** Null between two intervals. */
  observation: observation.nullable(),
  demand: demand.nullable(),
  /** Null: it could not tell. */
  proposed: counts.nullable(),
  counts,
  restrained: z.array(z.string()),
  because: z.array(z.string()),
  /** What became of it: `kept`, nothing was to be done; `advised`, nobody was told; else how its order, which has its number, stands. */
  outcome: z.enum(['kept', 'advised', 'pending', 'done', 'failed', 'given_up', 'superseded']),
  why: z.string(),
  /** All that it was made from and all that it said; only with `replay`. */
  input: z.unknown().optional(),
  decision: z.unknown().optional(),
});

export const decisionsSchema = z.object({
  /** In rising order. */
  decisions: z.array(decisionSchema),
  /** Only with `replay`: by decision, the state before it and what it was made with; profiles by number. */
  starts: z.record(z.string(), z.unknown()).optional(),
  profiles: z.record(z.string(), z.unknown()).optional(),
});

export const decisionQuery = z.strictObject({
  after: z.coerce.number().int().min(0).optional(),
  before: z.coerce.number().int().min(1).optional(),
  limit: z.coerce.number().int().min(1).max(LIMITS.plannerPage).default(20),
  replay: z.stringbool().default(false),
});

export const orderSchema = z.object({
  id: count,
  /** What there is to be, by role. */
  counts,
  /** The same in Dynamo's terms: -1, unchanged, where the fleet has no such role. Workers that do both are `numDecode`. */
  numPrefill: z.number().int(),
  numDecode: z.number().int(),
  issuedMs: z.number(),
  outcome: z.enum(['pending', 'done', 'failed', 'given_up']),
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
  /** What there is to be, by the newest decision, and why. */
  wants: counts.nullable(),
  because: z.array(z.string()),
  demand: demand.nullable(),
  /** Number of the newest decision; looks that have been taken. */
  decision: count.nullable(),
  looks: count,
  /** The newest order. */
  order: orderSchema
    .extend({
      outcome: z.enum(['pending', 'done', 'failed', 'given_up', 'superseded']),
      executor: z.string().nullable(),
    })
    .nullable(),
  problem: z.string().nullable(),
});
