/**
 * Asking the Router object of the model's namespace for a worker: one call, and no more, per attempt. It is a direct one
 * when the object lives in this isolate (durable/router/nearby.ts), else an RPC.
 * A refusal comes as a value and leaves as a StatorError.
 */
import { nearbyRouter } from '../../durable/router/nearby.ts';
import type { RouteAnswer, RouteDecision, RouteRequest } from '../../durable/router/rpc.ts';
import { type ErrorDetails, isErrorCode, StatorError } from '../../durable/runtime/errors.ts';
import type { Call } from '../call.ts';
import { routerOf } from '../env.ts';
import type { PreparedRequest } from '../prepared-request.ts';
import { directoryCopy } from '../preprocess/directory-copy.ts';

/** What a further attempt tells: whom to leave out, and which reservation came to nothing. */
export interface Again {
  exclude: string[];
  release: number;
}

export async function route(call: Call, prepared: PreparedRequest, again?: Again): Promise<RouteDecision> {
  const { model, prompt, promptTokens } = prepared;
  const request: RouteRequest = {
    requestId: call.requestId,
    model: model.name,
    blockHashes: prompt.blockHashes,
    promptTokens,
  };
  if (again !== undefined) {
    request.exclude = again.exclude;
    request.release = again.release;
  }
  const answer = await askRouter(call, model.namespace, request);
  if (answer.kind === 'decision') {
    directoryCopy.noteVersion(answer.directoryVersion);
    return answer;
  }
  if (answer.kind === 'ticket') throw new StatorError('overloaded', 'All workers are busy.');
  const details: ErrorDetails = answer.retryAfterS === null ? {} : { retryAfterS: answer.retryAfterS };
  throw new StatorError(isErrorCode(answer.code) ? answer.code : 'internal', answer.message, details);
}

async function askRouter(call: Call, namespace: string, request: RouteRequest): Promise<RouteAnswer> {
  const nearby = nearbyRouter(namespace);
  if (nearby !== undefined) return nearby.route(request);
  try {
    return await routerOf(call.env, namespace).route(request);
  } catch (cause) {
    throw new StatorError('worker_unavailable', 'The router does not answer.', { cause });
  }
}

/** Frees the reservation of an attempt that no other follows. Never throws: what is not freed runs out. */
export async function release(call: Call, namespace: string, reservation: number): Promise<void> {
  const nearby = nearbyRouter(namespace);
  if (nearby !== undefined) {
    nearby.release(reservation);
    return;
  }
  try {
    await routerOf(call.env, namespace).release(reservation);
  } catch {
    // The object is gone, and its reservations with it.
  }
}
