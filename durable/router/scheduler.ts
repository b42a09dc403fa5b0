/**
 * The whole decision: who may serve the request, and who of them shall. Pure and synchronous; chance comes with the policy.
 *
 * A worker that lost its socket but still has its lease is asked only when no connected one is left.
 */

import type { ErrorCode } from '../runtime/errors.ts';
import type { Choice, Policy } from './modes/mode.ts';
import { MODES } from './modes/registry.ts';
import type { RouteRefusal, RouteRequest } from './rpc.ts';
import type { Model, Rank } from './workers.ts';

export function schedule(model: Model, request: RouteRequest, policy: Policy): Choice | RouteRefusal {
  const name = request.mode ?? policy.mode;
  if (name === 'direct' && request.pinned === undefined) {
    return refusal('invalid_request', 'mode direct needs a pinned worker');
  }
  const candidates = eligible(model, request);
  if (candidates.length === 0) return nobody(model, request);
  return MODES[name].choose(candidates, model, request, policy);
}

/** Ranks that may serve the request. The model's own list when nothing narrows it. */
export function eligible(model: Model, request: RouteRequest): readonly Rank[] {
  const { pinned, exclude } = request;
  if (pinned === undefined && (exclude === undefined || exclude.length === 0)) {
    return model.connected.length > 0 ? model.connected : model.disconnected;
  }
  const allowed = ({ worker: { instanceId } }: Rank) =>
    (pinned === undefined || instanceId === pinned) && !exclude?.includes(instanceId);
  const connected = model.connected.filter(allowed);
  return connected.length > 0 ? connected : model.disconnected.filter(allowed);
}

/** Why there was no candidate, each reason with its own words. */
function nobody(model: Model, { pinned, exclude }: RouteRequest): RouteRefusal {
  if (pinned !== undefined) {
    const worker = [...model.workers].find(({ instanceId }) => instanceId === pinned);
    if (exclude?.includes(pinned)) {
      return refusal('no_workers', `pinned worker ${pinned} was lost or refused the request`);
    }
    if (worker?.phase === 'draining') return refusal('worker_draining', `worker ${pinned} is draining`);
    return refusal('worker_unavailable', `no worker ${pinned} serves model ${model.name}`);
  }
  if (exclude?.length && model.connected.length + model.disconnected.length > 0) {
    return refusal('no_workers', `every worker of model ${model.name} was lost or refused the request`);
  }
  return refusal('no_workers', `no worker serves model ${model.name} at the moment`);
}

export function refusal(code: ErrorCode, message: string, retryAfterS: number | null = null): RouteRefusal {
  return { kind: 'refusal', code, message, retryAfterS };
}
