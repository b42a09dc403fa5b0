/**
 * Who may serve a request (semantics §1.4), and when nobody may, why. Conditions are those of the request (pinned, allowed,
 * excluded, taints, LoRA) and of the workers (connected, not overloaded).
 *
 * A worker that lost its socket but still has its lease is asked only when no connected one is left.
 */

import type { ErrorCode } from '../runtime/errors.ts';
import type { Overload } from './overload.ts';
import type { RefusableWish, RouteRefusal, RouteRequest } from './rpc.ts';
import { satisfies } from './taints.ts';
import type { Model, Rank, Worker } from './workers.ts';

/** Ranks that may serve the request, or why none may. The model's own list when nothing narrows it. */
export function eligible(
  model: Model,
  request: RouteRequest,
  overload: Overload,
): readonly Rank[] | RouteRefusal {
  const pool = request.role === 'prefill' ? model.prefill : model;
  const candidates = isNarrowed(request)
    ? serving(pool, (rank) => suits(rank, request))
    : serving(pool, null);
  if (candidates.length === 0) return nobody(model, request);
  const overloaded = overload.judge(model);
  if (overloaded === null) return candidates;
  const relaxed = candidates.filter(({ worker }) => !overloaded(worker));
  return relaxed.length > 0 ? relaxed : allOverloaded(model, request);
}

const isNarrowed = ({ pinned, exclude, allowedWorkerIds, requiredTaints, lora, dpRank }: RouteRequest) =>
  pinned !== undefined ||
  allowedWorkerIds !== undefined ||
  requiredTaints !== undefined ||
  lora !== undefined ||
  dpRank !== undefined ||
  (exclude !== undefined && exclude.length > 0);

function serving(
  { connected, disconnected }: Pick<Model, 'connected' | 'disconnected'>,
  suitable: ((rank: Rank) => boolean) | null,
): readonly Rank[] {
  const first = suitable === null ? connected : connected.filter(suitable);
  if (first.length > 0) return first;
  return suitable === null ? disconnected : disconnected.filter(suitable);
}

function suits({ worker, dpRank }: Rank, request: RouteRequest): boolean {
  const { pinned, exclude } = request;
  const { instanceId } = worker;
  return (
    (pinned === undefined || instanceId === pinned) &&
    (request.dpRank === undefined || dpRank === request.dpRank) &&
    !exclude?.includes(instanceId) &&
    unsuitable(worker, request) === null
  );
}

/** What the request asks of any worker and this one does not have. */
function unsuitable({ instanceId, registration }: Worker, request: RouteRequest): RefusableWish | null {
  const { allowedWorkerIds, requiredTaints, lora } = request;
  if (allowedWorkerIds && !allowedWorkerIds.includes(instanceId)) return 'allowedWorkerIds';
  if (requiredTaints && !satisfies(requiredTaints, registration.taints)) return 'requiredTaints';
  if (lora !== undefined && !registration.loras.includes(lora)) return 'lora';
  return null;
}

/** Goes on from "no worker …". */
function wished(wish: RefusableWish, { requiredTaints, lora }: RouteRequest): string {
  switch (wish) {
    case 'requiredTaints':
      return `has the required taints (${requiredTaints?.join(', ')})`;
    case 'lora':
      return `has the LoRA adapter ${lora}`;
    default:
      return 'is among the allowed workers';
  }
}

/** Why there was no candidate, each reason with its own words. */
function nobody(model: Model, request: RouteRequest): RouteRefusal {
  const { pinned, exclude, role } = request;
  if (pinned !== undefined) return notPinned(model, request, pinned);
  const workers = [...model.workers].filter(({ phase }) => phase !== 'draining');
  const lacks = workers.map((worker) => unsuitable(worker, request));
  if (lacks.length > 0 && lacks.every((lack) => lack !== null)) {
    const lack = lacks[0]!;
    return refused('no_workers', `no worker of model ${model.name} ${wished(lack, request)}`, lack);
  }
  if (exclude?.length && workers.length > 0) {
    return refusal('no_workers', `every worker of model ${model.name} was lost or refused the request`);
  }
  const prefillOnly = workers.every(({ registration }) => registration.workerType === 'prefill');
  if (workers.length > 0 && prefillOnly && role !== 'prefill') {
    return refusal('no_workers', `model ${model.name} has prefill workers only: it wants a decode worker`);
  }
  const kind = role === 'prefill' ? 'prefill worker' : 'worker';
  return refusal('no_workers', `no ${kind} serves model ${model.name} at the moment`);
}

function notPinned(model: Model, request: RouteRequest, pinned: string): RouteRefusal {
  const worker = [...model.workers].find(({ instanceId }) => instanceId === pinned);
  if (request.exclude?.includes(pinned)) {
    return refusal('no_workers', `pinned worker ${pinned} was lost or refused the request`);
  }
  if (!worker) {
    return refused('worker_unavailable', `no worker ${pinned} serves model ${model.name}`, 'pinned');
  }
  if (worker.phase === 'draining') {
    return refused('worker_draining', `worker ${pinned} is draining`, 'pinned');
  }
  if (request.dpRank !== undefined && request.dpRank >= worker.ranks.length) {
    const message = `worker ${pinned} has ${worker.ranks.length} data parallel ranks, none of them ${request.dpRank}`;
    return refused('invalid_request', message, 'dpRank');
  }
  const lack = unsuitable(worker, request);
  if (lack !== null) {
    const message = `pinned worker ${pinned} is not one that ${wished(lack, request)}`;
    return refused('invalid_request', message, lack);
  }
  const message = `worker ${pinned} does not answer requests of model ${model.name}`;
  return refused('worker_unavailable', message, 'pinned');
}

function allOverloaded(model: Model, { pinned }: RouteRequest): RouteRefusal {
  const message =
    pinned === undefined
      ? `all workers of model ${model.name} are overloaded`
      : `pinned worker ${pinned} is overloaded`;
  return refusal('overloaded', message, 1);
}

const refused = (code: ErrorCode, message: string, param: RefusableWish): RouteRefusal => ({
  ...refusal(code, message),
  param,
});

export function refusal(code: ErrorCode, message: string, retryAfterS: number | null = null): RouteRefusal {
  return { kind: 'refusal', code, message, retryAfterS };
}
