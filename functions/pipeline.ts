/**
 * The way of an inference request, as prose: validate → find the model → render its template → tokenise → route →
 * dispatch. Each step is a few lines here and a folder behind them.
 */
import type { Template } from '@huggingface/jinja';
import type { ModelEntry } from '../durable/directory/rpc.ts';
import type { GlobalRouterConfig, PoolCount } from '../durable/global-router/rpc.ts';
import { StatorError, toStatorError } from '../durable/runtime/errors.ts';
import { countTokensRequest, messagesRequest } from './anthropic/messages-request.ts';
import { apiOf, type Call, type Endpoint } from './call.ts';
import { type Routing, routed } from './dispatch/attempts.ts';
import { dispatch } from './dispatch/dispatch.ts';
import { answerQuery } from './dispatch/query.ts';
import { requestIdHeaders } from './dispatch/response-head.ts';
import { route } from './dispatch/route.ts';
import { withHeaders } from './dispatch/routing-headers.ts';
import { directoryOf, globalRouterOf } from './env.ts';
import { absentFrom } from './global-router/absent-model.ts';
import { type ModelPools, overflowRun, poolRun, poolsOf, widest } from './global-router/choose-pools.ts';
import { poolsCopy } from './global-router/pools-copy.ts';
import type { InferenceRequest } from './inference-request.ts';
import { chatRequest } from './openai/chat-request.ts';
import { completionsRequest } from './openai/completions-request.ts';
import { Chain, type Operator, type Pipeline } from './operator.ts';
import type { PreparedRequest, TokenPrompt } from './prepared-request.ts';
import { type RenderedPrompt, renderChat, renderText } from './preprocess/chat-template.ts';
import { boundedMaxTokens } from './preprocess/context-length.ts';
import { directoryCopy } from './preprocess/directory-copy.ts';
import { hashSeedOf } from './preprocess/hash-seed.ts';
import { templateOf } from './preprocess/model-files.ts';
import { hashTokens, tokeniseText } from './preprocess/tokenise.ts';
import { bestWorkerRequest, generateRequest } from './router/token-request.ts';

interface ForModel {
  request: InferenceRequest;
  model: ModelEntry;
  /** Of a global router; null: the model is served by one namespace. */
  pools: ModelPools | null;
}

interface Rendered extends ForModel {
  /** The prompt's text, or the client's own tokens. */
  prompt: RenderedPrompt | Uint32Array;
}

interface Tokenised extends ForModel {
  prompt: TokenPrompt;
}

interface Fitting {
  prepared: PreparedRequest;
  pools: ModelPools | null;
}

interface Routed {
  prepared: PreparedRequest;
  routing: Routing;
}

const PARSERS: Record<Endpoint, (json: unknown) => InferenceRequest> = {
  chat_completions: chatRequest,
  completions: completionsRequest,
  messages: messagesRequest,
  // It takes more than the body to read one: `responses/respond.ts` did.
  responses: (request) => request as InferenceRequest,
  count_tokens: countTokensRequest,
  router_generate: generateRequest,
  best_worker_id: bestWorkerRequest,
};

const validate: Operator<unknown, InferenceRequest> = {
  name: 'validate',
  forward(json, call) {
    const request = PARSERS[call.endpoint](json);
    request.routing = withHeaders(request.routing, call);
    if (call.endpoint === 'chat_completions' || call.endpoint === 'completions') {
      call.json = json as Record<string, unknown>;
    }
    return request;
  },
};

const findModel: Operator<InferenceRequest, ForModel> = {
  name: 'find-model',
  forward(request, call) {
    const read = (known: number, counts: PoolCount[]) => globalRouterOf(call.env).read(known, counts);
    const config = poolsCopy.current(read, call.startedMs);
    if (config instanceof Promise) return config.then((known) => find(known, request, call));
    return find(config, request, call);
  },
};

function find(
  config: GlobalRouterConfig | null,
  request: InferenceRequest,
  call: Call,
): ForModel | Promise<ForModel | Response> {
  if (config !== null) return findPools(config, request, call);
  const found = directoryCopy.find(request.model, readerOf(call), call.startedMs);
  return found instanceof Promise
    ? found.then((model) => accepted(call, { request, model, pools: null }))
    : accepted(call, { request, model: found, pools: null });
}

/** A model of the global router may have lost all its workers; then it is a known model all the same. */
async function findPools(
  config: GlobalRouterConfig,
  request: InferenceRequest,
  call: Call,
): Promise<ForModel | Response> {
  let first: ModelEntry | null = null;
  try {
    first = await directoryCopy.find(request.model, readerOf(call), call.startedMs);
  } catch (thrown) {
    if (config.modelName !== request.model || toStatorError(thrown).code !== 'model_not_found') throw thrown;
  }
  const pools = poolsOf(config, request.model, directoryCopy.entries(request.model));
  const model = pools === null ? first : (widest(pools) ?? null);
  if (model !== null) return accepted(call, { request, model, pools });
  call.track.accepted(request.model, request.stream);
  const run = overflowRun(call, pools!, poolsCopy);
  const destination = run.first();
  if (destination.kind !== 'openai') throw new StatorError('internal', 'There is nobody to overflow to.');
  return dispatch(call, { ...absentFrom(request), pools: run }, destination.pool);
}

function accepted(call: Call, found: ForModel): ForModel {
  call.track.accepted(found.model.name, found.request.stream);
  return found;
}

const readerOf = (call: Call) => (known: number) => directoryOf(call.env).read(known);

const render: Operator<ForModel, Rendered> = {
  name: 'render',
  forward({ request, model, pools }, call) {
    const { prompt } = request;
    if (prompt.kind === 'tokens') return { request, model, pools, prompt: prompt.tokenIds };
    if (prompt.kind === 'text') return { request, model, pools, prompt: renderText(prompt.text, model) };
    const template = templateOf(model, call);
    const rendered = (made: Template) => ({
      request,
      model,
      pools,
      prompt: renderChat(made, { ...prompt, model }),
    });
    return template instanceof Promise ? template.then(rendered) : rendered(template);
  },
};

const tokenise: Operator<Rendered, Tokenised> = {
  name: 'tokenise',
  forward({ request, model, pools, prompt }, call) {
    const seed = hashSeedOf(request.routing);
    if (request.annotations !== undefined && !(prompt instanceof Uint32Array)) {
      const { text, guard } = prompt;
      request.annotations.formattedPrompt = guard === undefined ? text : text.replaceAll(guard, '');
    }
    const tokens =
      prompt instanceof Uint32Array
        ? hashTokens(model, prompt, seed)
        : tokeniseText(model, prompt, { source: call, seed });
    if (tokens instanceof Promise) return tokens.then((made) => ({ request, model, pools, prompt: made }));
    return { request, model, pools, prompt: tokens };
  },
};

/** Does it fit into the context, with an answer? */
const fit: Operator<Tokenised, Fitting> = {
  name: 'fit',
  forward({ request, model, pools, prompt }) {
    const promptTokens = prompt.tokenIds.byteLength / 4;
    const promptParam = request.prompt.kind === 'messages' ? 'messages' : 'prompt';
    if (promptTokens === 0)
      throw new StatorError('invalid_request', 'The prompt is empty.', { param: promptParam });
    const { contextLengthTokens } = model;
    const maxTokens = boundedMaxTokens({
      contextLengthTokens,
      promptTokens,
      maxTokens: request.stop.maxTokens,
      shrink: request.stop.maxTokensShrink ?? false,
      promptParam,
    });
    return { prepared: { request, model, prompt, promptTokens, maxTokens }, pools };
  },
};

/** Asks, and lets `dispatch` wait for the answer: a stream's headers may have to go out before it. */
const askForWorker: Operator<Fitting, Routed> = {
  name: 'route',
  forward({ prepared, pools }, call) {
    if (pools === null) return { prepared, routing: route(call, prepared) };
    const run = poolRun(call, prepared, pools, poolsCopy);
    const destination = run.first();
    if (destination.kind === 'openai')
      return { prepared: { ...prepared, pools: run }, routing: destination.pool };
    const inPool = { ...destination.prepared, pools: run };
    return { prepared: inPool, routing: routed(call, inPool) };
  },
};

const send: Operator<Routed, Response> = {
  name: 'dispatch',
  forward: ({ prepared, routing }, call) =>
    prepared.request.routing?.queryOnly
      ? answerQuery(call, prepared, routing)
      : dispatch(call, prepared, routing),
};

const count: Operator<Tokenised, Response> = {
  name: 'count',
  forward({ prompt }, call) {
    call.track.ended('success');
    const headers = requestIdHeaders(call.requestId, apiOf(call.endpoint));
    return Response.json({ input_tokens: prompt.tokenIds.byteLength / 4 }, { headers });
  },
};

const asTokens = Chain.of(validate).pipe(findModel).pipe(render).pipe(tokenise);

/** JSON body in, response out. Throws StatorError for everything that goes wrong before the response's head is out. */
export const inference: Pipeline<unknown> = asTokens.pipe(fit).pipe(askForWorker).answeredBy(send);

/** How many tokens the prompt has, whatever fits. */
export const counting: Pipeline<unknown> = asTokens.answeredBy(count);
