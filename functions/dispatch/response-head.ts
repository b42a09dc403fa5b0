/** Headers of an answer: which worker, which request, how much of the prompt was cached. */
import type { Api } from '../../durable/runtime/error-body.ts';
import { apiOf, type Call } from '../call.ts';
import type { Opened } from './attempts.ts';
import { explanationHeader } from './explanation.ts';

export const REQUEST_ID_HEADER = 'x-request-id';
/** The same, as Anthropic's clients look for it. */
const ANTHROPIC_REQUEST_ID_HEADER = 'request-id';
export const WORKER_HEADER = 'x-stator-worker';
/** Behind a global router: which of its pools. */
const POOL_HEADER = 'x-stator-pool';
const ROUTING_HEADER = 'x-stator-routing';
export const CACHED_TOKENS_HEADER = 'x-stator-cached-tokens';
/** Who computed the prompt, where it was another worker; and who should have. */
export const PREFILL_WORKER_HEADER = 'x-stator-prefill-worker';
export const PREFILL_FAILED_HEADER = 'x-stator-prefill-failed';

/** A stream: nobody on the way may keep or collect it. `opened` is null when no worker has answered yet. */
export function streamHead(call: Call, opened: Opened | null): Record<string, string> {
  const head: Record<string, string> = {
    'content-type': 'text/event-stream',
    'cache-control': 'no-cache',
    'x-accel-buffering': 'no',
    ...requestIdHeaders(call.requestId, apiOf(call.endpoint)),
  };
  return opened === null ? head : withWorker(head, opened);
}

export const documentHead = (call: Call, opened: Opened): Record<string, string> =>
  withWorker(documentHeaders(call), opened);

/** Without a worker. */
export function documentHeaders(call: Call): Record<string, string> {
  const ids = requestIdHeaders(call.requestId, apiOf(call.endpoint));
  return { 'content-type': 'application/json', ...ids };
}

export function requestIdHeaders(requestId: string, api: Api): Record<string, string> {
  const ids: Record<string, string> = { [REQUEST_ID_HEADER]: requestId };
  if (api === 'anthropic') ids[ANTHROPIC_REQUEST_ID_HEADER] = requestId;
  return ids;
}

function withWorker(head: Record<string, string>, opened: Opened): Record<string, string> {
  head[WORKER_HEADER] = opened.worker;
  if (opened.pool !== undefined) head[POOL_HEADER] = opened.pool;
  const cached = opened.response.headers.get(CACHED_TOKENS_HEADER);
  if (cached !== null) head[CACHED_TOKENS_HEADER] = cached;
  const prefill = opened.response.headers.get(PREFILL_WORKER_HEADER);
  if (prefill !== null) head[PREFILL_WORKER_HEADER] = prefill;
  if (opened.explained !== null) head[ROUTING_HEADER] = explanationHeader(opened.explained);
  return head;
}
