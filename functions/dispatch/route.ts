/**
 * Asking the Router object of the model's namespace for a worker: one call, and no more, per attempt. It is a direct one
 * when the object lives in this isolate (durable/router/nearby.ts), else an RPC. Where all workers are busy the answer is a
 * ticket, which is waited for by RPC, a second at a time, so that a client that left is forgotten soon.
 * A refusal comes as a value and leaves as a StatorError.
 */
import { BATCH_CLASS } from '../../durable/batches/rpc.ts';
import type { ModelEntry } from '../../durable/directory/rpc.ts';
import { nearbyRouter } from '../../durable/router/nearby.ts';
import type { RefusableWish, RouteAnswer, RouteDecision, RouteRequest } from '../../durable/router/rpc.ts';
import { type ErrorDetails, isErrorCode, StatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import type { Call, Caller } from '../call.ts';
import { routerOf } from '../env.ts';
import type { AgentHints } from '../inference-request.ts';
import type { PreparedRequest } from '../prepared-request.ts';
import { directoryCopy } from '../preprocess/directory-copy.ts';
import { hintsWithHeaders } from './routing-headers.ts';

/** Dynamo's name: the policy class or family that the client wants to be counted under. */
const POLICY_CLASS_HEADER = 'x-dynamo-meta-policy-class';

/** What the router needs to hold a request for a model that sleeps, should it not know the model. */
export function noteSleep(
  request: RouteRequest,
  { blockSizeTokens, sleeping, tokenizerSha256 }: ModelEntry,
): void {
  if (sleeping) request.asleep = { blockSizeTokens, tokenizerSha256 };
}

/** Below all tiers that clients may name. */
const BATCH_TIER = -1;

/** What a further attempt tells: whom to leave out, and which reservation came to nothing. */
export interface Again {
  exclude: string[];
  release: number;
}

export function route(call: Call, prepared: PreparedRequest, again?: Again): Promise<RouteDecision> {
  return decide(call, prepared.model.namespace, routeRequest(call, prepared, again));
}

/** Asks, and waits where the router lets the request wait. */
export async function decide(call: Caller, namespace: string, request: RouteRequest): Promise<RouteDecision> {
  let answer = await askRouter(call, namespace, request);
  if (answer.kind === 'ticket') {
    call.mayBeShed = answer.mayBeShed ?? false;
    answer = await queued(call, namespace, request, answer.ticket);
  }
  if (answer.kind === 'decision') {
    directoryCopy.noteVersion(answer.directoryVersion);
    return answer;
  }
  const details: ErrorDetails = {};
  if (answer.retryAfterS !== null) details.retryAfterS = answer.retryAfterS;
  if (answer.details !== undefined) details.report = answer.details;
  if (answer.param !== undefined) details.param = fieldOf(call, answer.param);
  throw new StatorError(isErrorCode(answer.code) ? answer.code : 'internal', answer.message, details);
}

/** What clients call the wishes that found nobody. */
const WISHES: Record<RefusableWish, string> = {
  pinned: 'backend_instance_id',
  prefillPinned: 'prefill_worker_id',
  dpRank: 'dp_rank',
  allowedWorkerIds: 'allowed_worker_ids',
  requiredTaints: 'routing_constraints.required_taints',
  lora: 'lora_name',
};

/** The router's own endpoints have the fields that elsewhere stand in `nvext`. */
function fieldOf({ endpoint }: Caller & Partial<Call>, wish: RefusableWish): string {
  const isOurs = endpoint === 'router_generate' || endpoint === 'best_worker_id';
  return isOurs ? WISHES[wish] : `nvext.${WISHES[wish]}`;
}

export function routeRequest(call: Call, prepared: PreparedRequest, again: Again | undefined): RouteRequest {
  const { model, prompt, promptTokens, request: asked } = prepared;
  const request: RouteRequest = {
    requestId: call.requestId,
    model: model.name,
    blockHashes: prompt.blockHashes,
    promptTokens,
  };
  noteSleep(request, model);
  if (asked.routing !== null) {
    const { cacheNamespace: _, ...wishes } = asked.routing;
    Object.assign(request, wishes);
  }
  classify(call, model.namespace, request, asked.agentHints);
  if (again !== undefined) {
    request.exclude = again.exclude;
    request.release = again.release;
  }
  return request;
}

/**
 * Notes policy class and priorities. Where nobody queues they mean nothing; looking for them is not free. The class of batches goes behind
 * everybody else of its family, whether or not a policy knows it.
 */
export function classify(
  { request: { headers } }: Caller,
  namespace: string,
  request: RouteRequest,
  asked: AgentHints | null = null,
): void {
  if (nearbyRouter(namespace)?.queues === false) return;
  const hints = hintsWithHeaders(asked, headers);
  if (hints !== null) {
    request.priorityJump = hints.priority;
    request.strictPriority = hints.strictPriority;
  }
  const policyClass = headers.get(POLICY_CLASS_HEADER);
  if (policyClass === null) return;
  request.policyClass = policyClass;
  if (policyClass === BATCH_CLASS) request.strictPriority = BATCH_TIER;
}

/** Waits until the ticket is decided. A ticket that got lost (the object restarted) is replaced by a new one. */
async function queued(
  call: Caller,
  namespace: string,
  request: RouteRequest,
  first: number,
): Promise<Exclude<RouteAnswer, { kind: 'ticket' }>> {
  let ticket = first;
  let lost = 0;
  for (;;) {
    call.abort?.throwIfAborted();
    if (Date.now() - call.startedMs > LIMITS.responseHeadTimeoutMs) {
      const seconds = LIMITS.responseHeadTimeoutMs / 1000;
      throw new StatorError('deadline_exceeded', `All workers were busy for ${seconds} seconds.`);
    }
    let answer = await waitFor(call, namespace, ticket);
    if (answer.kind === 'refusal' && answer.code === 'not_found' && lost++ < LIMITS.lostTickets) {
      answer = await askRouter(call, namespace, request);
    }
    if (answer.kind !== 'ticket') return answer;
    ticket = answer.ticket;
  }
}

async function askRouter(call: Caller, namespace: string, request: RouteRequest): Promise<RouteAnswer> {
  const nearby = nearbyRouter(namespace);
  if (nearby !== undefined) return nearby.route(request);
  try {
    return await routerOf(call.env, namespace).route(request);
  } catch (cause) {
    throw noAnswer(cause);
  }
}

async function waitFor(call: Caller, namespace: string, ticket: number): Promise<RouteAnswer> {
  try {
    return await routerOf(call.env, namespace).wait(ticket);
  } catch (cause) {
    throw noAnswer(cause);
  }
}

const noAnswer = (cause: unknown) =>
  new StatorError('worker_unavailable', 'The router does not answer.', { cause });

/** Frees the reservation of an attempt that no other follows. Never throws: what is not freed runs out. */
export async function release(call: Caller, namespace: string, reservation: number): Promise<void> {
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
