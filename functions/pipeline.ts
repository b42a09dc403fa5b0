/**
 * The way of an inference request, as prose: validate → find the model → render its template → tokenise → route →
 * dispatch. Each step is a few lines here and a folder behind them.
 */
import type { Template } from '@huggingface/jinja';
import type { ModelEntry } from '../durable/directory/rpc.ts';
import type { RouteDecision } from '../durable/router/rpc.ts';
import { StatorError } from '../durable/runtime/errors.ts';
import { countTokensRequest, messagesRequest } from './anthropic/messages-request.ts';
import { apiOf, type Endpoint } from './call.ts';
import { dispatch } from './dispatch/dispatch.ts';
import { answerQuery } from './dispatch/query.ts';
import { requestIdHeaders } from './dispatch/response-head.ts';
import { route } from './dispatch/route.ts';
import { withHeaders } from './dispatch/routing-headers.ts';
import { directoryOf } from './env.ts';
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
}

interface Rendered extends ForModel {
  /** The prompt's text, or the client's own tokens. */
  prompt: RenderedPrompt | Uint32Array;
}

interface Tokenised extends ForModel {
  prompt: TokenPrompt;
}

interface Routed {
  prepared: PreparedRequest;
  routing: Promise<RouteDecision>;
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
    return request;
  },
};

const findModel: Operator<InferenceRequest, ForModel> = {
  name: 'find-model',
  forward(request, call) {
    const read = (known: number) => directoryOf(call.env).read(known);
    const found = directoryCopy.find(request.model, read, call.startedMs);
    const accept = (model: ModelEntry): ForModel => {
      call.track.accepted(model.name, request.stream);
      return { request, model };
    };
    return found instanceof Promise ? found.then(accept) : accept(found);
  },
};

const render: Operator<ForModel, Rendered> = {
  name: 'render',
  forward({ request, model }, call) {
    const { prompt } = request;
    if (prompt.kind === 'tokens') return { request, model, prompt: prompt.tokenIds };
    if (prompt.kind === 'text') return { request, model, prompt: renderText(prompt.text, model) };
    const template = templateOf(model, call);
    const rendered = (made: Template) => ({ request, model, prompt: renderChat(made, { ...prompt, model }) });
    return template instanceof Promise ? template.then(rendered) : rendered(template);
  },
};

const tokenise: Operator<Rendered, Tokenised> = {
  name: 'tokenise',
  forward({ request, model, prompt }, call) {
    const seed = hashSeedOf(request.routing);
    if (request.annotations !== undefined && !(prompt instanceof Uint32Array)) {
      const { text, guard } = prompt;
      request.annotations.formattedPrompt = guard === undefined ? text : text.replaceAll(guard, '');
    }
    const tokens =
      prompt instanceof Uint32Array
        ? hashTokens(model, prompt, seed)
        : tokeniseText(model, prompt, { source: call, seed });
    if (tokens instanceof Promise) return tokens.then((made) => ({ request, model, prompt: made }));
    return { request, model, prompt: tokens };
  },
};

/** Does it fit into the context, with an answer? */
const fit: Operator<Tokenised, PreparedRequest> = {
  name: 'fit',
  forward({ request, model, prompt }) {
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
    return { request, model, prompt, promptTokens, maxTokens };
  },
};

/** Asks, and lets `dispatch` wait for the answer: a stream's headers may have to go out before it. */
const askForWorker: Operator<PreparedRequest, Routed> = {
  name: 'route',
  forward: (prepared, call) => ({ prepared, routing: route(call, prepared) }),
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
