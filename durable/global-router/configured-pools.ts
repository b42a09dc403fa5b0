/**
 * A document of pools as the configuration that requests are sorted by, or what is wrong with it: the first fault by its
 * field, as in `decode_pool_selection_strategy.decode_pool_mapping[1]`. Nothing of a faulty document is taken.
 */
import { StatorError } from '../runtime/errors.ts';
import { LIMITS } from '../runtime/limits.ts';
import {
  type AggDocument,
  type DisaggDocument,
  type PoolsDocument,
  poolsDocument,
} from './pools-document.ts';
import {
  type Axis,
  type GlobalRouterConfig,
  OPENAI_PREFIX,
  type OpenAiPool,
  type PoolGroup,
  type PriorityOverride,
  type Quantity,
} from './rpc.ts';

/** For requests without targets; null: the middle. */
export interface DefaultTargets {
  ttftMs: number | null;
  itlMs: number | null;
}

/** Throws `invalid_request` naming the field. */
export function configuredPools(json: unknown, targets: DefaultTargets): GlobalRouterConfig {
  const document = parsed(json);
  const openaiPools = openAiPools(document);
  const known = new Set(openaiPools.map(({ name }) => name));
  return {
    groups:
      document.mode === 'agg'
        ? { mode: 'agg', agg: aggGroup(document, known) }
        : { mode: 'disagg', prefill: prefillGroup(document, known), decode: decodeGroup(document, known) },
    modelName: document.model_name ?? null,
    enablePriorityRetry: document.enable_priority_retry,
    openaiPools,
    defaultTtftTargetMs: targets.ttftMs,
    defaultItlTargetMs: targets.itlMs,
  };
}

function parsed(json: unknown): PoolsDocument {
  const result = poolsDocument.safeParse(json);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0]!;
  throw fault(pathName(path), message);
}

function openAiPools({ openai_pools }: PoolsDocument): OpenAiPool[] {
  const pools = openai_pools.map((pool) => ({
    name: OPENAI_PREFIX + pool.name,
    baseUrl: pool.base_url.replace(/\/+$/, ''),
    model: pool.model ?? null,
    overflow: pool.overflow,
    timeoutMs: pool.timeout_ms,
  }));
  pools.forEach(({ name }, at) => {
    if (pools.findIndex((other) => other.name === name) !== at)
      throw fault(`openai_pools[${at}].name`, `${name} is there twice`);
  });
  return pools;
}

function aggGroup(document: AggDocument, openai: ReadonlySet<string>): PoolGroup {
  const field = 'agg_pool_selection_strategy';
  const strategy = document[field];
  const { isl_min, isl_max, isl_resolution, agg_pool_mapping } = strategy;
  const isl = [isl_min, isl_max, isl_resolution];
  const some = isl.findIndex((value) => value !== undefined);
  const missing = isl.indexOf(undefined);
  if (some >= 0 && missing >= 0)
    throw fault(
      `${field}.isl_${['min', 'max', 'resolution'][missing]}`,
      'is missing: an axis wants all three',
    );
  const axes = [
    ...(some >= 0 ? [axis(field, 'isl', { min: isl_min!, max: isl_max!, resolution: isl_resolution! })] : []),
    ttftAxis(field, strategy),
    itlAxis(field, strategy),
  ];
  return group(document, 'agg', { axes, mapping: agg_pool_mapping, field, openai });
}

function prefillGroup(document: DisaggDocument, openai: ReadonlySet<string>): PoolGroup {
  const field = 'prefill_pool_selection_strategy';
  const strategy = document[field];
  const { isl_min: min, isl_max: max, isl_resolution: resolution } = strategy;
  const axes = [axis(field, 'isl', { min, max, resolution }), ttftAxis(field, strategy)];
  return group(document, 'prefill', { axes, mapping: strategy.prefill_pool_mapping, field, openai });
}

function decodeGroup(document: DisaggDocument, openai: ReadonlySet<string>): PoolGroup {
  const field = 'decode_pool_selection_strategy';
  const strategy = document[field];
  const {
    context_length_min: min,
    context_length_max: max,
    context_length_resolution: resolution,
  } = strategy;
  const axes = [axis(field, 'context_length', { min, max, resolution }), itlAxis(field, strategy)];
  return group(document, 'decode', { axes, mapping: strategy.decode_pool_mapping, field, openai });
}

const ttftAxis = (field: string, s: { ttft_min_ms: number; ttft_max_ms: number; ttft_resolution: number }) =>
  axis(field, 'ttft', { min: s.ttft_min_ms, max: s.ttft_max_ms, resolution: s.ttft_resolution });
const itlAxis = (field: string, s: { itl_min_ms: number; itl_max_ms: number; itl_resolution: number }) =>
  axis(field, 'itl', { min: s.itl_min_ms, max: s.itl_max_ms, resolution: s.itl_resolution });

function axis(field: string, quantity: Quantity, given: Omit<Axis, 'quantity'>): Axis {
  const unit = quantity === 'ttft' || quantity === 'itl' ? '_ms' : '';
  const name = (end: string) => `${quantity}_${end}${unit}`;
  if (given.min >= given.max)
    throw fault(`${field}.${name('min')}`, `${given.min} must be less than ${name('max')} (${given.max})`);
  return { quantity, ...given };
}

interface Grid {
  axes: readonly Axis[];
  /** Nested as deep as there are axes. */
  mapping: readonly unknown[];
  /** Name of the strategy. */
  field: string;
  openai: ReadonlySet<string>;
}

type Kind = 'agg' | 'prefill' | 'decode';

function group(document: PoolsDocument, kind: Kind, { axes, mapping, field, openai }: Grid): PoolGroup {
  // Each kind of document has the fields of its kinds.
  const fields = document as unknown as Record<string, unknown>;
  const names = fields[`${kind}_pool_dynamo_namespaces`] as string[];
  const count = fields[`num_${kind}_pools`] as number;
  const priorities =
    (fields[`${kind}_pool_priorities`] as number[] | null | undefined) ?? names.map((_, at) => at);
  if (names.length !== count)
    throw fault(
      `${kind}_pool_dynamo_namespaces`,
      `has ${names.length} pools, num_${kind}_pools says ${count}`,
    );
  if (priorities.length !== count)
    throw fault(`${kind}_pool_priorities`, `has ${priorities.length} numbers for ${count} pools`);
  names.forEach((name, at) => {
    const here = `${kind}_pool_dynamo_namespaces[${at}]`;
    if (names.indexOf(name) !== at) throw fault(here, `${name} is there twice`);
    if (!name.startsWith(OPENAI_PREFIX)) return;
    if (kind !== 'agg') throw fault(here, `${name} computes prompt and answer: it wants mode agg`);
    if (!openai.has(name)) throw fault(here, `${name} is not among openai_pools`);
  });
  if (axes.reduce((cells, { resolution }) => cells * resolution, 1) > LIMITS.poolGridCells)
    throw fault(field, `has more than ${LIMITS.poolGridCells} cells`);
  return {
    pools: names.map((name, at) => ({ name, priority: priorities[at]! })),
    axes,
    mapping: cellsOf(mapping, axes, { name: `${field}.${kind}_pool_mapping`, pools: count }),
    overrides: overridesOf(fields[field] as Strategy, { field, pools: count }),
  };
}

/** The grid, flat. */
function cellsOf(
  cells: readonly unknown[],
  [first, ...rest]: readonly Axis[],
  { name, pools }: { name: string; pools: number },
): number[] {
  if (cells.length !== first!.resolution)
    throw fault(name, `has ${cells.length} entries, ${first!.quantity}_resolution is ${first!.resolution}`);
  return cells.flatMap((cell, at) => {
    const here = `${name}[${at}]`;
    if (rest.length > 0) {
      if (!Array.isArray(cell))
        throw fault(here, `wants a list: the grid has an axis ${rest[0]!.quantity}, too`);
      return cellsOf(cell, rest, { name: here, pools });
    }
    if (typeof cell !== 'number')
      throw fault(here, 'wants the number of a pool: the grid has no further axis');
    if (cell >= pools) throw fault(here, `there is no pool ${cell}: they are 0 to ${pools - 1}`);
    return [cell];
  });
}

interface Strategy {
  priority_overrides: { min_priority: number; max_priority: number; target_pool: number }[];
}

function overridesOf(
  { priority_overrides }: Strategy,
  { field, pools }: { field: string; pools: number },
): PriorityOverride[] {
  return priority_overrides.map(({ min_priority, max_priority, target_pool }, at) => {
    const here = `${field}.priority_overrides[${at}]`;
    if (min_priority > max_priority)
      throw fault(`${here}.min_priority`, `${min_priority} must not be above max_priority (${max_priority})`);
    if (target_pool >= pools)
      throw fault(`${here}.target_pool`, `there is no pool ${target_pool}: they are 0 to ${pools - 1}`);
    return { minPriority: min_priority, maxPriority: max_priority, targetPool: target_pool };
  });
}

function fault(param: string, message: string): StatorError {
  const where = param === '' ? '' : `${param}: `;
  return new StatorError(
    'invalid_request',
    `global router: ${where}${message}`,
    param === '' ? {} : { param },
  );
}

function pathName(path: readonly PropertyKey[]): string {
  let name = '';
  for (const part of path) name += typeof part === 'number' ? `[${part}]` : (name && '.') + String(part);
  return name;
}
