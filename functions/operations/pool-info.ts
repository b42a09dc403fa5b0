/**
 * `GET /get_pool_info`: the pools of the global router, with Dynamo's fields, and of each pool who lives there, what is in
 * flight, how often it was chosen and how often it failed. What this isolate has counted is told first.
 */
import * as z from 'zod';
import type { ModelEntry } from '../../durable/directory/rpc.ts';
import type { GlobalRouterConfig, PoolGroup, PoolTotals } from '../../durable/global-router/rpc.ts';
import { ERROR_CODES, StatorError } from '../../durable/runtime/errors.ts';
import { type Env, globalRouterOf, routerOf } from '../env.ts';
import { poolsCopy } from '../global-router/pools-copy.ts';
import { knownModels } from './models.ts';

const count = z.number().int().min(0);
const names = z.array(z.string()).optional();
const priorities = z.array(z.number().int()).optional();
const ROLES = ['agg', 'prefill', 'decode', 'overflow'] as const;
type Role = (typeof ROLES)[number];

const poolSchema = z.object({
  pool: z.string(),
  kind: z.enum(['namespace', 'openai']),
  roles: z.array(z.enum(ROLES)),
  /** The lower, the faster; null: it is only overflow. */
  priority: z.number().int().nullable(),
  /** Of `openai` pools null: nobody here knows. */
  live_workers: count.nullable(),
  in_flight: count.nullable(),
  waiting: count.nullable(),
  base_url: z.string().optional(),
  selected: count,
  retried: count,
  overflow: count,
  failures: z.partialRecord(z.enum(ERROR_CODES), count),
});

export const poolInfoSchema = z.object({
  model_name: z.string().nullable(),
  mode: z.enum(['agg', 'disagg']),
  enable_priority_retry: z.boolean(),
  num_agg_pools: count.optional(),
  agg_pools: names,
  agg_pool_priorities: priorities,
  agg_connected: names,
  num_prefill_pools: count.optional(),
  num_decode_pools: count.optional(),
  prefill_pools: names,
  decode_pools: names,
  prefill_pool_priorities: priorities,
  decode_pool_priorities: priorities,
  prefill_connected: names,
  decode_connected: names,
  pools: z.array(poolSchema),
});

export type PoolInfo = z.output<typeof poolInfoSchema>;
type PoolRow = PoolInfo['pools'][number];

/** Throws `not_found` where there is no global router. */
export async function getPoolInfo(env: Env, nowMs: number): Promise<Response> {
  const info = await poolInfo(env, nowMs);
  if (info !== null) return Response.json(info);
  throw new StatorError('not_found', 'There is no global router: see --global-router.');
}

export async function poolInfo(env: Env, nowMs: number): Promise<PoolInfo | null> {
  const object = globalRouterOf(env);
  await poolsCopy.refresh((known, counts) => object.read(known, counts), nowMs);
  const { config, totals } = await object.info();
  if (config === null) return null;
  const models = (await knownModels(env, nowMs)).filter(
    ({ name, aliases }) =>
      config.modelName === null || name === config.modelName || aliases.includes(config.modelName),
  );
  const pools = await Promise.all(
    namesOf(config).map((name) => rowOf(env, name, { config, models, totals: totals[name] })),
  );
  const connected = new Set(pools.filter(({ live_workers }) => live_workers !== 0).map(({ pool }) => pool));
  const { groups, modelName, enablePriorityRetry } = config;
  return {
    model_name: modelName,
    mode: groups.mode,
    enable_priority_retry: enablePriorityRetry,
    ...(groups.mode === 'agg'
      ? fieldsOf('agg', groups.agg, connected)
      : {
          ...fieldsOf('prefill', groups.prefill, connected),
          ...fieldsOf('decode', groups.decode, connected),
        }),
    pools,
  };
}

/** Workers by pool, for the metrics. */
export const liveWorkers = ({ pools }: PoolInfo): Record<string, number> =>
  Object.fromEntries(
    pools.flatMap(({ pool, live_workers }) => (live_workers === null ? [] : [[pool, live_workers]])),
  );

const fieldsOf = (kind: Role, { pools }: PoolGroup, connected: ReadonlySet<string>) => ({
  [`num_${kind}_pools`]: pools.length,
  [`${kind}_pools`]: pools.map(({ name }) => name),
  [`${kind}_pool_priorities`]: pools.map(({ priority }) => priority),
  [`${kind}_connected`]: pools.map(({ name }) => name).filter((name) => connected.has(name)),
});

function groupsOf({ groups }: GlobalRouterConfig): [Role, PoolGroup][] {
  if (groups.mode === 'agg') return [['agg', groups.agg]];
  return [
    ['prefill', groups.prefill],
    ['decode', groups.decode],
  ];
}

const namesOf = (config: GlobalRouterConfig): string[] => {
  const listed = groupsOf(config).flatMap(([, { pools }]) => pools);
  return [...new Set([...listed, ...config.openaiPools].map(({ name }) => name))];
};

async function rowOf(
  env: Env,
  name: string,
  given: { config: GlobalRouterConfig; models: readonly ModelEntry[]; totals: PoolTotals | undefined },
): Promise<PoolRow> {
  const { config, models, totals } = given;
  const member = groupsOf(config).filter(([, { pools }]) => pools.some((pool) => pool.name === name));
  const roles = member.map(([role]) => role);
  const openai = config.openaiPools.find((pool) => pool.name === name);
  if (openai?.overflow) roles.push('overflow');
  const priority = member[0]?.[1].pools.find((pool) => pool.name === name)?.priority ?? null;
  const counted = totals ?? { selected: 0, retried: 0, overflow: 0, failures: {} };
  if (openai !== undefined) {
    const unknown = { live_workers: null, in_flight: null, waiting: null };
    return { pool: name, kind: 'openai', roles, priority, ...unknown, base_url: openai.baseUrl, ...counted };
  }
  const entries = models.filter(({ namespace }) => namespace === name);
  // A namespace that nobody registered in is not asked: that would bring its object into being.
  const status = entries.length === 0 ? null : await routerOf(env, name).status();
  return {
    pool: name,
    kind: 'namespace',
    roles,
    priority,
    live_workers: new Set(entries.flatMap(({ instances }) => instances)).size,
    in_flight: status?.inFlight ?? 0,
    waiting: status?.queue.reduce((sum, { requests }) => sum + requests, 0) ?? 0,
    ...counted,
  };
}
