/**
 * One request to a pool with OpenAI's API, up to its head. Nothing of it is held open beforehand, so a pool that is not
 * needed costs nothing. What the provider says of a failure comes in our codes: full or broken there is a fault of the
 * pool, after which another may be tried; a request that it refuses, it refuses in the client's name.
 */
import type { OpenAiPool } from '../../durable/global-router/rpc.ts';
import { type ErrorCode, StatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import type { Call } from '../call.ts';
import { openAiRequest } from './openai-request.ts';

interface OpenAiAnswer {
  response: Response;
  /** Ends the connection. */
  abort(): void;
}

/**
 * The head of a stream, which must come within the pool's time; or a whole document, which may take as long as any answer.
 * Throws StatorError when it does not come, or is none.
 */
export async function callOpenAi(pool: OpenAiPool, call: Call, stream: boolean): Promise<OpenAiAnswer> {
  const { url, body } = openAiRequest(pool, call);
  const key = keyOf(pool, call.settings.openaiPoolKeys);
  const controller = new AbortController();
  const abort = () => controller.abort();
  call.abort?.addEventListener('abort', abort);
  const limitMs = stream ? pool.timeoutMs : LIMITS.responseHeadTimeoutMs;
  const timer = setTimeout(abort, limitMs);
  try {
    const internet = call.env.INTERNET ?? globalThis;
    const response = await internet.fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'x-request-id': call.requestId,
        ...(key === null ? {} : { authorization: `Bearer ${key}` }),
      },
      body,
      redirect: 'manual',
      signal: controller.signal,
    });
    if (response.status !== 200 || response.body === null) throw await refusal(pool, response);
    return { response: stream ? response : await whole(pool, response), abort };
  } catch (thrown) {
    if (thrown instanceof StatorError) throw thrown;
    const silent = controller.signal.aborted && call.abort?.aborted !== true;
    const why = silent ? `did not answer within ${limitMs} ms` : 'cannot be reached';
    throw new StatorError('worker_unavailable', `The pool '${pool.name}' ${why}.`, { cause: thrown });
  } finally {
    clearTimeout(timer);
  }
}

/** A complete document in place of one that may break off. */
async function whole({ name }: OpenAiPool, response: Response): Promise<Response> {
  const text = await response.text();
  try {
    JSON.parse(text);
  } catch (cause) {
    throw new StatorError('worker_unavailable', `The pool '${name}' answered with no JSON.`, { cause });
  }
  return new Response(text, { headers: { 'content-length': String(text.length) } });
}

/** `name=key,name=key`; the names without prefix. */
function keyOf({ name }: OpenAiPool, keys: string): string | null {
  const mark = `${name.slice(name.indexOf(':') + 1)}=`;
  const entry = keys.split(',').find((one) => one.startsWith(mark));
  return entry === undefined ? null : entry.slice(mark.length);
}

/** Statuses that are the client's affair; all others are the pool's. */
const OF_THE_REQUEST: Readonly<Record<number, ErrorCode>> = {
  400: 'invalid_request',
  413: 'body_too_large',
  422: 'invalid_request',
};

async function refusal({ name }: OpenAiPool, response: Response): Promise<StatorError> {
  const { status } = response;
  const said = await saidIn(response);
  const theirs = OF_THE_REQUEST[status];
  if (theirs !== undefined) {
    const message = `The pool '${name}' refused the request: ${said || `status ${status}`}`;
    return new StatorError(theirs, message);
  }
  if (status === 429 || status === 529 || status === 503) {
    const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
    const details = Number.isFinite(seconds) && seconds > 0 ? { retryAfterS: Math.ceil(seconds) } : {};
    return new StatorError('overloaded', `The pool '${name}' is full (status ${status}).`, details);
  }
  // What a provider says of our key is nothing for the client.
  return new StatorError('worker_unavailable', `The pool '${name}' answered with status ${status}.`);
}

/** The message of an OpenAI error body, bounded; empty: there is none. */
async function saidIn(response: Response): Promise<string> {
  try {
    const reader = response.body!.getReader();
    const { value } = await reader.read();
    void reader.cancel().catch(() => {});
    const text = new TextDecoder().decode(value?.subarray(0, LIMITS.errorBodyBytes));
    const { error } = JSON.parse(text) as { error?: { message?: unknown } };
    return typeof error?.message === 'string' ? error.message.slice(0, LIMITS.openaiPoolMessageLength) : '';
  } catch {
    return '';
  }
}
