/**
 * Sends a request of a batch through the platform itself, as any client's: key, validation, routing, migration. It names the
 * policy class of batches, which goes behind all others in the router's queue, and asks the engine for its last place.
 */

import { type ErrorCode, isErrorCode, StatorError } from '../runtime/errors.ts';
import type { BatchRequest, SendResult } from './batch-runner.ts';
import type { LineAnswer } from './output-line.ts';
import { BATCH_CLASS } from './rpc.ts';

/** The part of a Worker that is used. */
export interface Self {
  fetch(url: string, init: RequestInit): Promise<Response>;
}

/** Least of what `priority` takes; engines take the highest first. */
const LEAST_PRIORITY = -0x7fff_ffff;

/** Nobody had room or was there; the same request may find room later. */
const NO_ROOM: readonly ErrorCode[] = [
  'overloaded',
  'worker_unavailable',
  'worker_draining',
  'no_workers',
  'migration_exhausted',
  'deadline_exceeded',
  'cancelled',
];

export async function sendRequest(
  self: Self,
  { requestId, endpoint, body }: BatchRequest,
  { apiKey, gone }: { apiKey: string; gone: AbortSignal },
): Promise<SendResult> {
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'x-dynamo-meta-policy-class': BATCH_CLASS,
    'x-request-id': requestId,
  };
  if (apiKey !== '') headers['authorization'] = `Bearer ${apiKey}`;
  try {
    const response = await self.fetch(`http://batch${endpoint}`, {
      method: 'POST',
      headers,
      // Unless its author has said otherwise.
      body: JSON.stringify(endpoint === '/v1/embeddings' ? body : { priority: LEAST_PRIORITY, ...body }),
      signal: gone,
    });
    const text = await response.text();
    return judged({ status: response.status, requestId, body: text });
  } catch (thrown) {
    // The connection broke inside an answer, or the platform threw: as if it had said so.
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    const error = { message, type: 'server_error', param: null, code: 'internal' };
    return { again: 'our_fault', answer: { status: 500, requestId, body: JSON.stringify({ error }) } };
  }
}

/** A document whose head was out before it failed says so in its body. */
function judged(answer: LineAnswer): SendResult {
  const code = errorCodeOf(answer.body);
  if (code === null && answer.status < 400) return answer;
  const failed =
    answer.status < 400 ? { ...answer, status: new StatorError(code ?? 'internal', '').httpStatus } : answer;
  if (code === 'model_not_found') return { again: 'no_model', answer: failed };
  if (code !== null && NO_ROOM.includes(code)) return { again: 'no_room', answer: failed };
  return failed.status >= 500 ? { again: 'our_fault', answer: failed } : failed;
}

/** null: it is no error. What is not JSON is one of ours. */
function errorCodeOf(body: string): ErrorCode | null {
  try {
    const { error } = JSON.parse(body) as { error?: { code?: unknown } | null };
    if (error == null) return null;
    return typeof error.code === 'string' && isErrorCode(error.code) ? error.code : 'internal';
  } catch {
    return 'internal';
  }
}
