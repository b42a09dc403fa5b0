/**
 * `POST /v1/responses`: the conversation so far is read, the response is begun in its object, and the request goes the
 * way of all inference requests. Its worker tells the object the end (`store-route.ts`), before the client is told:
 * the bytes pass here unread, and when the client has left nothing runs here any more.
 *
 * In the background the same is done without a client: see `background.ts`.
 */
import type { NewResponse } from '../../durable/conversations/rpc.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import type { Call } from '../call.ts';
import { documentHeaders } from '../dispatch/response-head.ts';
import { type ConversationsStub, conversationsOf, directoryOf } from '../env.ts';
import type { InferenceRequest } from '../inference-request.ts';
import { parseBody } from '../openai/parse.ts';
import { type ResponsesBody, responsesSchema } from '../openai/responses-schema.ts';
import { directoryCopy } from '../preprocess/directory-copy.ts';
import { checkBackground, inBackground } from './background.ts';
import { inResponsesWords } from './chat-words.ts';
import { begunDocument, envelopeOf } from './envelope.ts';
import { historyOf, ownItems, placed, resolved } from './history.ts';
import { newResponseId, objectOf } from './response-id.ts';
import { checkServed, responsesRequest } from './responses-request.ts';
import { runFitting } from './truncate.ts';
import { watch } from './watch.ts';

/** What keeps running when the response is out. */
type WaitUntil = (work: Promise<unknown>) => void;

/** Throws StatorError in the words of this API. */
export async function respond(json: unknown, call: Call, waitUntil: WaitUntil): Promise<Response> {
  try {
    const body = parseBody(responsesSchema, json);
    checkServed(body);
    return await answer(body, call, waitUntil);
  } catch (thrown) {
    throw inResponsesWords(thrown);
  }
}

async function answer(body: ResponsesBody, call: Call, waitUntil: WaitUntil): Promise<Response> {
  const { env } = call;
  const previous = body.previous_response_id ?? null;
  const responseId = newResponseId(call.uuid, previous === null ? null : objectOf(previous));
  const [history, own] = await Promise.all([
    previous === null ? [] : historyOf(env, previous),
    resolved(env, ownItems(body.input, responseId)),
  ]);
  const request = responsesRequest(body, [...history, ...placed(own)]);
  const envelope = envelopeOf(body);
  const [keep, truncates] = [body.store ?? true, body.truncation === 'auto'];
  request.record = { responseId, envelope, keep, truncates };
  if (!keep) return await runFitting(request, call);

  await modelIsThere(request, call);
  const store = conversationsOf(env, objectOf(responseId)!);
  const created = Math.floor(call.startedMs / 1000);
  const document = begunDocument({ responseId, created, model: body.model, envelope });
  const background = body.background ?? false;
  const response = { id: responseId, previous, background, input: JSON.stringify(own), document };
  checkSize(response);
  if (!background) return await inForeground(call, store, request, response);
  checkBackground();
  await store.begin(response);
  inBackground(call, store, request, waitUntil);
  return new Response(document, { headers: documentHeaders(call) });
}

/**
 * The object writes to its disk while the worker computes. Its turn comes long before the worker's word of the end: that
 * takes several calls more.
 */
async function inForeground(
  call: Call,
  store: ConversationsStub,
  request: InferenceRequest,
  response: NewResponse,
): Promise<Response> {
  const failed = (error: StatorError) => store.fail(response.id, inResponsesWords(error).message);
  const abort = new AbortController();
  // The context of this request ends with its answer, and the timer with it.
  const timer = setTimeout(() => void watch(store, response.id, abort), LIMITS.responseWatchAfterMs);
  const begun = store.begin(response);
  const running = runFitting(request, { ...call, failed, abort: abort.signal });
  const [answer, stored] = await Promise.allSettled([running, begun]);
  if (answer.status === 'fulfilled' && stored.status === 'fulfilled') return answer.value;
  if (answer.status === 'fulfilled') {
    await answer.value.body?.cancel().catch(() => {});
    throw new StatorError('worker_unavailable', 'The response cannot be stored.', { cause: stored });
  }
  clearTimeout(timer);
  // Nobody has heard of it.
  await store.remove(response.id).catch(() => {});
  throw answer.reason;
}

function checkSize({ input, document }: NewResponse): void {
  if (input.length + document.length <= LIMITS.storedResponseLength) return;
  const message = "The request is larger than what is stored: send it with 'store' false.";
  throw new StatorError('body_too_large', message, { param: 'input' });
}

/** Most that is wrong with requests is found before anything is stored. */
async function modelIsThere({ model }: InferenceRequest, { env, startedMs }: Call): Promise<void> {
  await directoryCopy.find(model, (known) => directoryOf(env).read(known), startedMs);
}
