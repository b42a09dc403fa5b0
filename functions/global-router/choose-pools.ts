/**
 * The pools that stand behind a model name, and in which order one request tries them. The request is tokenised once, with
 * the card of the pool with the longest context; pools with another tokenizer or template are no stand-ins for it and are left out.
 */
import type { ModelEntry } from '../../durable/directory/rpc.ts';
import type {
  GlobalRouterConfig,
  OpenAiPool,
  PoolChoice,
  PoolGroup,
} from '../../durable/global-router/rpc.ts';
import { StatorError, toStatorError } from '../../durable/runtime/errors.ts';
import type { Call } from '../call.ts';
import { hintsWithHeaders } from '../dispatch/routing-headers.ts';
import type { PreparedRequest } from '../prepared-request.ts';
import { boundedMaxTokens } from '../preprocess/context-length.ts';
import { hashTokens } from '../preprocess/tokenise.ts';
import { unfitFor } from './openai-request.ts';
import { type Candidate, type Destination, PoolRun, type PoolTally } from './pool-run.ts';
import { retryOrder, selectPool } from './select-pool.ts';

/** The pools of one model name. */
export interface ModelPools {
  config: GlobalRouterConfig;
  /** What namespaces of pools say of the model. */
  entries: readonly ModelEntry[];
}

/** null: the name has nothing to do with the global router. */
export function poolsOf(
  config: GlobalRouterConfig,
  name: string,
  entries: readonly ModelEntry[],
): ModelPools | null {
  if (config.modelName !== null && config.modelName !== name) return null;
  const names = new Set(poolNames(config));
  if (config.groups.mode === 'disagg') for (const { name } of config.groups.prefill.pools) names.add(name);
  const ours = entries.filter(({ namespace }) => names.has(namespace));
  return config.modelName === null && ours.length === 0 ? null : { config, entries: ours };
}

const poolNames = ({ groups }: GlobalRouterConfig): string[] =>
  (groups.mode === 'agg' ? groups.agg.pools : groups.decode.pools).map(({ name }) => name);

/** Whose card the request is prepared with; undefined: no pool here has workers. */
export function widest({ entries }: ModelPools): ModelEntry | undefined {
  const served = entries.filter(({ prefillOnly }) => !prefillOnly);
  return served.reduce<ModelEntry | undefined>(
    (most, entry) =>
      most === undefined || entry.contextLengthTokens > most.contextLengthTokens ? entry : most,
    undefined,
  );
}

/** The way of a request that was prepared with the card of `widest`. */
export function poolRun(
  call: Call,
  prepared: PreparedRequest,
  { config, entries }: ModelPools,
  tally: PoolTally,
): PoolRun {
  const { groups } = config;
  const group = groups.mode === 'agg' ? groups.agg : groups.decode;
  const pinned = prepared.request.routing?.pinned;
  const home = pinned && entries.find(({ instances }) => instances.includes(pinned.padStart(16, '0')));
  if (home) return new PoolRun([candidate(home.namespace, 'selected', () => inPool(prepared, home))], tally);
  const names = order(call, prepared, config, group);
  const prefillNames = groups.mode === 'disagg' ? order(call, prepared, config, groups.prefill) : null;
  const candidates = names.map((name, at) =>
    candidate(name, at === 0 ? 'selected' : 'retried', () => {
      const openai = config.openaiPools.find((pool) => pool.name === name);
      if (openai !== undefined) return elsewhere(call, openai);
      const entry = entries.find(({ namespace, prefillOnly }) => namespace === name && !prefillOnly);
      const found = inPool(prepared, entry, name);
      return prefillNames === null ? found : apart(call, found, prefillNames, entries);
    }),
  );
  return new PoolRun([...candidates, ...overflow(call, config, names)], tally);
}

/** For a model that no pool here has workers for. */
export function overflowRun(call: Call, { config }: ModelPools, tally: PoolTally): PoolRun {
  const absent = () => new StatorError('no_workers', 'No pool of this model has workers.');
  const nobody = candidate(poolNames(config)[0]!, 'selected', absent);
  return new PoolRun([nobody, ...overflow(call, config, [])], tally);
}

function order(
  call: Call,
  { promptTokens, request }: PreparedRequest,
  config: GlobalRouterConfig,
  group: PoolGroup,
): string[] {
  const hints = hintsWithHeaders(request.agentHints, call.request.headers);
  const wishes = {
    promptTokens,
    ttftTargetMs: request.targets?.ttftMs ?? null,
    itlTargetMs: request.targets?.itlMs ?? null,
    priority: hints?.priority ?? null,
  };
  const selected = selectPool(group, wishes, config);
  return retryOrder(group, selected, config.enablePriorityRetry).map((at) => group.pools[at]!.name);
}

const overflow = (call: Call, { openaiPools }: GlobalRouterConfig, tried: readonly string[]): Candidate[] =>
  openaiPools
    .filter((pool) => pool.overflow && !tried.includes(pool.name))
    .map((pool) => candidate(pool.name, 'overflow', () => elsewhere(call, pool)));

const candidate = (name: string, why: PoolChoice, prepare: Candidate['prepare']): Candidate => ({
  name,
  why,
  prepare,
});

/** Prompts go to the prefill pools, unless the first of them is the decode pool itself, whose router then decides for both. */
function apart(
  { settings }: Call,
  found: Destination | StatorError,
  names: readonly string[],
  entries: readonly ModelEntry[],
): Destination | StatorError {
  if (found instanceof StatorError || found.kind !== 'namespace') return found;
  const { model } = found.prepared;
  if (settings.prefillHandoff === 'queue' || names[0] === model.namespace) return found;
  const alike = (entry: ModelEntry) =>
    entry.tokenizerSha256 === model.tokenizerSha256 && entry.blockSizeTokens === model.blockSizeTokens;
  const prefillPools = names.filter((name) =>
    entries.some((entry) => entry.namespace === name && alike(entry)),
  );
  return { kind: 'namespace', prepared: { ...found.prepared, prefillPools } };
}

/** As a pool with this card wants it. */
function inPool(
  prepared: PreparedRequest,
  entry: ModelEntry | undefined,
  name = '',
): Destination | StatorError {
  if (entry === undefined) return new StatorError('no_workers', `The pool '${name}' has no workers.`);
  const { model } = prepared;
  if (entry === model) return { kind: 'namespace', prepared };
  const alike =
    entry.tokenizerSha256 === model.tokenizerSha256 && entry.chatTemplateSha256 === model.chatTemplateSha256;
  if (!alike) {
    const message = `The pool '${entry.namespace}' has another tokenizer or template for '${entry.name}'.`;
    return new StatorError('no_workers', message);
  }
  try {
    return { kind: 'namespace', prepared: refitted(prepared, entry) };
  } catch (thrown) {
    return toStatorError(thrown);
  }
}

/** Other block sizes want other hashes, other contexts another bound. Throws `context_length_exceeded`. */
function refitted(prepared: PreparedRequest, model: ModelEntry): PreparedRequest {
  const { request, promptTokens, prompt } = prepared;
  const maxTokens = boundedMaxTokens({
    contextLengthTokens: model.contextLengthTokens,
    promptTokens,
    maxTokens: request.stop.maxTokens,
    shrink: request.stop.maxTokensShrink ?? false,
    promptParam: request.prompt.kind === 'messages' ? 'messages' : 'prompt',
  });
  const same = model.blockSizeTokens === prepared.model.blockSizeTokens;
  const ids = () => new Uint32Array(prompt.tokenIds.slice().buffer);
  return {
    ...prepared,
    model,
    maxTokens,
    prompt: same ? prompt : hashTokens(model, ids(), prompt.hashSeed),
  };
}

function elsewhere(call: Call, pool: OpenAiPool): Destination | StatorError {
  return unfitFor(pool, call) ?? { kind: 'openai', pool };
}
