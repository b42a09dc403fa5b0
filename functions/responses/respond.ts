/**
 * `POST /v1/responses`: the conversation so far is read, the response is begun in its object, and the request goes the
 * way of all inference requests. Its worker tells the object the end (`store-route.ts`), before the client is told:
 * the bytes pass here unread, and when the client has left nothing runs here any more.
 *
 * In the background the same is done without a client: see `background.ts`.
 */
import { StatorError } from '../../durable/runtime/errors.ts';
import type { Call } from '../call.ts';
import { documentHeaders } from '../dispatch/response-head.ts';
import { conversationsOf, directoryOf } from '../env.ts';
import type { InferenceRequest } from '../inference-request.ts';
import { parseBody } from '../openai/parse.ts';
import { type ResponsesBody, responsesSchema } from '../openai/responses-schema.ts';
import { inference } from '../pipeline.ts';
import { directoryCopy } from '../preprocess/directory-copy.ts';
import { checkBackground, inBackground } from './background.ts';
import { inResponsesWords } from './chat-words.ts';
import { begunDocument, envelopeOf } from './envelope.ts';
import { historyOf, ownItems, placed, resolved } from './history.ts';
import { newResponseId, objectOf } from './response-id.ts';
import { checkServed, responsesRequest } from './responses-request.ts';

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
  request.record = { responseId, envelope, keep: body.store ?? true };
  if (!request.record.keep) return await inference.run(request, call);

  await modelIsThere(request, call);
  const background = body.background ?? false;
  if (background) checkBackground();
  const store = conversationsOf(env, objectOf(responseId)!);
  const begun = { responseId, created: Math.floor(call.startedMs / 1000), model: body.model, envelope };
  const document = begunDocument(begun);
  const input = JSON.stringify(own);
  if (!(await store.begin({ id: responseId, previous, background, input, document }))) {
    const message = "The request is larger than what is stored: send it with 'store' false.";
    throw new StatorError('body_too_large', message, { param: 'input' });
  }
  if (background) {
    inBackground(call, store, request, waitUntil);
    return new Response(document, { headers: documentHeaders(call) });
  }
  const failed = (error: StatorError) => store.fail(responseId, inResponsesWords(error).message);
  try {
    return await inference.run(request, { ...call, failed });
  } catch (thrown) {
    // Nobody has heard of it.
    await store.remove(responseId).catch(() => {});
    throw thrown;
  }
}

/** Most that is wrong with requests is found before anything is stored. */
async function modelIsThere({ model }: InferenceRequest, { env, startedMs }: Call): Promise<void> {
  await directoryCopy.find(model, (known) => directoryOf(env).read(known), startedMs);
}
