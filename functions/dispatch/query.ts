/**
 * The answer to a request that only asks where it would go (Dynamo's annotation `query_instance_id`, and the router's
 * endpoint `best_worker_id`): nothing is reserved and no worker hears of it. The chosen worker and the prompt's tokens come in `nvext`, as Dynamo has them, and
 * beside them `routing` says why.
 */
import type { RouteDecision } from '../../durable/router/rpc.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import type { Call, Endpoint } from '../call.ts';
import type { PreparedRequest } from '../prepared-request.ts';
import type { Routing } from './attempts.ts';
import { explanation } from './explanation.ts';
import { REQUEST_ID_HEADER, WORKER_HEADER } from './response-head.ts';
import { responseIdentity } from './response-identity.ts';

/** OpenAI's `object` of a document and of a chunk. */
const OBJECTS: Record<Exclude<Endpoint, 'best_worker_id'>, readonly [document: string, chunk: string]> = {
  chat_completions: ['chat.completion', 'chat.completion.chunk'],
  completions: ['text_completion', 'text_completion'],
  router_generate: ['text_completion', 'text_completion'],
  messages: ['message', 'message'],
  responses: ['response', 'response'],
  count_tokens: ['message', 'message'],
};

export async function answerQuery(
  call: Call,
  prepared: PreparedRequest,
  routing: Routing,
): Promise<Response> {
  if (!(routing instanceof Promise)) {
    throw new StatorError(
      'no_workers',
      `The request would go to the pool '${routing.name}', which has no workers.`,
    );
  }
  const decision = await routing;
  const { stream } = prepared.request;
  const text = JSON.stringify(answerOf(call, prepared, decision));
  call.track.ended('success');
  return new Response(stream ? `data: ${text}\n\ndata: [DONE]\n\n` : text, {
    headers: {
      'content-type': stream ? 'text/event-stream' : 'application/json',
      [REQUEST_ID_HEADER]: call.requestId,
      [WORKER_HEADER]: decision.worker,
    },
  });
}

function answerOf(call: Call, { request, prompt }: PreparedRequest, decision: RouteDecision) {
  const routing = explanation(decision);
  if (call.endpoint === 'best_worker_id') return { worker_id: decision.worker, ...routing };
  const { responseId, created } = responseIdentity(call, request);
  return {
    id: responseId,
    object: OBJECTS[call.endpoint][request.stream ? 1 : 0],
    created,
    model: request.model,
    choices: [],
    nvext: {
      worker_id: {
        ...(decision.prefill?.worker && {
          prefill_worker_id: decision.prefill.worker,
          prefill_dp_rank: decision.prefill.dpRank,
        }),
        decode_worker_id: decision.worker,
        decode_dp_rank: decision.dpRank,
      },
      token_ids: [...new Uint32Array(prompt.tokenIds.slice().buffer)],
      routing,
    },
  };
}
