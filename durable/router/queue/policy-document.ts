/**
 * The queue policy as people write it: Dynamo's policy class file (semantics §1.7) plus the two settings that make the one
 * class of a fleet without such a file. Parsed at the boundary: launcher, `PUT /router/queue_policy`, environment. Says
 * what is wrong by path. What the fields mean together is checked in policy-profile.ts.
 */

import * as z from 'zod';
import { StatorError } from '../../runtime/errors.ts';
import { LIMITS } from '../../runtime/limits.ts';

const identifier = z
  .string()
  .max(LIMITS.policyNameLength)
  .regex(/^[A-Za-z0-9_.-]+$/, 'wants letters, digits, "_", "." and "-"');
const tokens = z.number().int().min(0);
/** The first three are Dynamo's. */
const queuePolicy = z.enum(['fcfs', 'lcfs', 'wspt', 'aged']);

const policyClass = z.strictObject({
  name: identifier,
  policy_family: identifier.optional(),
  cache_bucket: identifier.optional(),
  queue_policy: queuePolicy.default('fcfs'),
  /** Share of the service, in uncached tokens a round. */
  quantum: z.number().int().min(1),
  prefill_busy_threshold: tokens.optional(),
  prefill_busy_threshold_frac: z.number().min(0).optional(),
  /** Not in Dynamo: busy when a prompt would wait there longer than this. */
  prefill_busy_wait_ms: z.number().min(0).optional(),
  request_queue_limit_per_worker: tokens.optional(),
  raw_isl_token_queue_limit_per_worker: tokens.optional(),
  cached_token_queue_limit_per_worker: tokens.optional(),
  /** Longest wait. */
  slo_ms: z.number().int().min(1).optional(),
});

const profileFields = {
  default_policy_family: identifier,
  uncached_isl_buckets: z
    .array(z.strictObject({ min_tokens: tokens, bucket: identifier }))
    .min(1)
    .max(LIMITS.policyBuckets),
  policy_classes: z.array(policyClass).min(1).max(LIMITS.policyClasses),
};
const profile = z.strictObject(profileFields);

export const policyDocument = z.strictObject({
  /** Busy above this share of max_num_batched_tokens; null: no queue. For models that have no classes here. */
  router_queue_threshold: z.number().min(0).nullable().default(null),
  /** Busy when a prompt would wait there longer than this; null: no queue for that reason. The same models. */
  router_queue_wait_ms: z.number().min(0).nullable().default(null),
  router_queue_policy: queuePolicy.default('fcfs'),
  default_policy_family: profileFields.default_policy_family.optional(),
  uncached_isl_buckets: profileFields.uncached_isl_buckets.optional(),
  policy_classes: profileFields.policy_classes.optional(),
  /** Classes of single models, in place of all of the above. */
  models: z.record(z.string().min(1).max(LIMITS.modelNameLength), profile).default({}),
});

export type ProfileDocument = z.output<typeof profile>;
export type ClassDocument = z.output<typeof policyClass>;
export type PolicyDocument = z.output<typeof policyDocument>;
export type QueuePolicyName = z.output<typeof queuePolicy>;

/** Throws `invalid_request` naming the field, as in `policy_classes[0].quantum`. */
export function parsePolicyDocument(json: unknown): PolicyDocument {
  const result = policyDocument.safeParse(json);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0]!;
  throw policyError(pathName(path), message);
}

export function policyError(param: string, message: string): StatorError {
  const where = param === '' ? '' : `${param}: `;
  return new StatorError(
    'invalid_request',
    `queue policy: ${where}${message}`,
    param === '' ? {} : { param },
  );
}

function pathName(path: readonly PropertyKey[]): string {
  let name = '';
  for (const part of path) {
    if (typeof part === 'number') name += `[${part}]`;
    else name += (name === '' ? '' : '.') + String(part);
  }
  return name;
}
