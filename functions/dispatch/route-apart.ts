/**
 * Prompt and answer in pools of their own: a decode worker of one namespace, and a prefill worker of another, each chosen by
 * its own Router object. The decode worker comes first, because it may be waited for; the prefill worker is then asked for in the order of the
 * request's prefill pools, and never waited for: where none is free to say yes, the decode worker computes the prompt.
 */
import type { PrefillDecision, RouteDecision, RouteRequest } from '../../durable/router/rpc.ts';
import type { Call } from '../call.ts';
import type { PreparedRequest } from '../prepared-request.ts';
import { type Again, decide, routeRequest } from './route.ts';

/** No attempt came before, but this one does not wait in a queue either. */
const NOTHING_TO_FREE = 0;
const HASH_BYTES = 8;

export async function routeApart(
  call: Call,
  prepared: PreparedRequest,
  namespaces: readonly string[],
  again: Again | undefined,
): Promise<RouteDecision> {
  const request: RouteRequest = { ...routeRequest(call, prepared, again), role: 'decode' };
  const decision = await decide(call, prepared.model.namespace, request);
  const prefill = isWorthIt(prepared) ? await prefillWorker(call, request, namespaces) : null;
  return prefill === null ? decision : { ...decision, prefill };
}

/** There is a complete block before the last token, whose logits are wanted where the answer is made. */
const isWorthIt = ({ promptTokens, model, prompt }: PreparedRequest): boolean =>
  prompt.blockHashes.byteLength >= HASH_BYTES && promptTokens > model.blockSizeTokens;

async function prefillWorker(
  call: Call,
  request: RouteRequest,
  namespaces: readonly string[],
): Promise<PrefillDecision | null> {
  const asked: RouteRequest = { ...request, role: 'prefill', release: NOTHING_TO_FREE };
  // What is said of the worker that answers.
  for (const field of ['pinned', 'dpRank', 'session', 'explain', 'asleep'] as const) delete asked[field];
  for (const namespace of namespaces) {
    try {
      const { worker, grpcAddress, ...decision } = await decide(call, namespace, asked);
      if (!grpcAddress) continue;
      const { reservation, routerBoot, dpRank, overlapBlocks, cachedTokens } = decision;
      return { worker, grpcAddress, namespace, reservation, routerBoot, dpRank, overlapBlocks, cachedTokens };
    } catch {
      // The next pool, or the decode worker itself.
    }
  }
  return null;
}
