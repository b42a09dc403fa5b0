/**
 * The global router's configuration as people write it: Dynamo's keys (semantics §9), also the older ones without `_ms`, and
 * three of ours: `model_name`, `openai_pools` and in mode `agg` a third axis, `isl`. Parsed at the boundary: launcher,
 * `PUT /global_router`, environment. What the fields mean together is checked in configured-pools.ts.
 */
import * as z from 'zod';
import { LIMITS } from '../runtime/limits.ts';
import { OPENAI_PREFIX } from './rpc.ts';

const poolCount = z.number().int().min(1).max(LIMITS.pools);
const priority = z.number().int().min(-0x8000_0000).max(0x7fff_ffff);
const resolution = z.number().int().min(1).max(LIMITS.poolGridCells);
const poolIndex = z.number().int().min(0);
const number = z.number();

/** Namespaces, or pools of `openai_pools`. */
const poolNames = z
  .array(
    z
      .string()
      .regex(
        new RegExp(`^(${OPENAI_PREFIX})?[a-z0-9][a-z0-9-]{0,62}$`),
        `wants a namespace, or ${OPENAI_PREFIX}NAME`,
      ),
  )
  .min(1)
  .max(LIMITS.pools);

const overrides = z
  .array(z.strictObject({ min_priority: priority, max_priority: priority, target_pool: poolIndex }))
  .max(LIMITS.pools)
  .default([]);

const ttft = { ttft_min_ms: number, ttft_max_ms: number, ttft_resolution: resolution };
const itl = { itl_min_ms: number, itl_max_ms: number, itl_resolution: resolution };
const isl = { isl_min: number, isl_max: number, isl_resolution: resolution };
const context = {
  context_length_min: number,
  context_length_max: number,
  context_length_resolution: resolution,
};
const row = z.array(poolIndex);
const plane = z.array(row);

/** Keys of before Dynamo put units into them; the new one wins. */
const OLD_KEYS = {
  ttft_min: 'ttft_min_ms',
  ttft_max: 'ttft_max_ms',
  itl_min: 'itl_min_ms',
  itl_max: 'itl_max_ms',
};

function renamed(given: unknown): unknown {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return given;
  const fields: Record<string, unknown> = { ...given };
  for (const [old, now] of Object.entries(OLD_KEYS)) {
    if (!(old in fields)) continue;
    fields[now] ??= fields[old];
    delete fields[old];
  }
  return fields;
}

const strategy = <S extends z.ZodRawShape>(shape: S) => z.preprocess(renamed, z.strictObject(shape));

const openaiPool = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'wants lower-case letters, digits and "-"'),
  /** With its version: https://api.example.com/v1 */
  base_url: z.url({ protocol: /^https?$/ }),
  model: z.string().min(1).max(LIMITS.modelNameLength).optional(),
  overflow: z.boolean().default(true),
  timeout_ms: z.number().int().min(100).max(LIMITS.responseHeadTimeoutMs).default(LIMITS.openaiPoolTimeoutMs),
});

const shared = {
  model_name: z.string().min(1).max(LIMITS.modelNameLength).optional(),
  enable_priority_retry: z.boolean().default(false),
  openai_pools: z.array(openaiPool).max(LIMITS.pools).default([]),
};

const agg = z.strictObject({
  ...shared,
  mode: z.literal('agg'),
  num_agg_pools: poolCount,
  agg_pool_dynamo_namespaces: poolNames,
  agg_pool_priorities: z.array(priority).nullish(),
  agg_pool_selection_strategy: strategy({
    ...ttft,
    ...itl,
    isl_min: number.optional(),
    isl_max: number.optional(),
    isl_resolution: resolution.optional(),
    agg_pool_mapping: z.union([plane, z.array(plane)]),
    priority_overrides: overrides,
  }),
});

const disagg = z.strictObject({
  ...shared,
  mode: z.literal('disagg'),
  num_prefill_pools: poolCount,
  num_decode_pools: poolCount,
  prefill_pool_dynamo_namespaces: poolNames,
  decode_pool_dynamo_namespaces: poolNames,
  prefill_pool_priorities: z.array(priority).nullish(),
  decode_pool_priorities: z.array(priority).nullish(),
  prefill_pool_selection_strategy: strategy({
    ...isl,
    ...ttft,
    prefill_pool_mapping: plane,
    priority_overrides: overrides,
  }),
  decode_pool_selection_strategy: strategy({
    ...context,
    ...itl,
    decode_pool_mapping: plane,
    priority_overrides: overrides,
  }),
});

/** `mode` is `disagg` where it is not said, as in Dynamo. */
export const poolsDocument = z.preprocess(
  (given) =>
    typeof given === 'object' && given !== null && !('mode' in given) ? { ...given, mode: 'disagg' } : given,
  z.discriminatedUnion('mode', [agg, disagg]),
);

export type PoolsDocument = z.output<typeof poolsDocument>;
export type AggDocument = z.output<typeof agg>;
export type DisaggDocument = z.output<typeof disagg>;
