/**
 * The whole decision: who may serve the request, and who of them shall. Pure and synchronous; chance comes with the policy.
 * A session goes where it was, and the mode chooses for all others.
 */

import type { SessionAffinity } from './affinity.ts';
import { eligible, refusal } from './eligibility.ts';
import type { Choice } from './modes/mode.ts';
import { MODES } from './modes/registry.ts';
import type { Overload } from './overload.ts';
import type { Policy } from './policy.ts';
import type { CandidateCost, RouteRefusal, RouteRequest } from './rpc.ts';
import type { Model } from './workers.ts';

/** What decides besides the request, at one moment. */
export interface Circumstances {
  /** The request's own (`policyFor`). */
  policy: Policy;
  overload: Overload;
  affinity: SessionAffinity | null;
  nowMs: number;
}

export function schedule(
  model: Model,
  request: RouteRequest,
  { policy, overload, affinity, nowMs }: Circumstances,
): Choice | RouteRefusal {
  const name = request.mode ?? policy.mode;
  if (name === 'direct' && request.pinned === undefined) {
    return { ...refusal('invalid_request', 'mode direct needs a pinned worker'), param: 'pinned' };
  }
  const candidates = eligible(model, request, overload);
  if ('kind' in candidates) return candidates;
  model.routed?.sweep(nowMs);
  const bound = request.session && affinity?.find(candidates, request, nowMs);
  return MODES[name].choose(bound ? [bound] : candidates, model, request, policy, nowMs);
}

/** How the candidates of the decision just made were judged, the cheapest first. */
export function candidatesOf(request: RouteRequest, policy: Policy): CandidateCost[] {
  const table = MODES[request.mode ?? policy.mode].table?.() ?? [];
  return table.sort((a, b) => a.cost - b.cost);
}
