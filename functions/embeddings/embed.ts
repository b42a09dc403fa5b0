/** One call of a worker for vectors: route, call, and another worker when one is lost, within the migration limit. */
import type { ModelEntry } from '../../durable/directory/rpc.ts';
import type { RouteDecision, RouteRequest } from '../../durable/router/rpc.ts';
import { StatorError, toStatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { EmbedRequestSchema, EmbedResponseSchema } from '../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';
import type { Caller } from '../call.ts';
import { classify, decide, noteSleep, release } from '../dispatch/route.ts';
import { callWorker } from '../dispatch/worker-call.ts';
import type { RoutingWishes } from '../inference-request.ts';

const SCHEMAS = { request: EmbedRequestSchema, response: EmbedResponseSchema };
const NO_HASHES = new Uint8Array();

export interface EmbedWork {
  model: ModelEntry;
  /** Each text: packed LE u32. */
  inputs: Uint8Array[];
  tokens: number;
  routing: RoutingWishes | null;
}

/** Rows of `dimensions` little-endian floats. The router counts the tokens as a prompt until the worker has answered. */
export async function embed(caller: Caller, work: EmbedWork): Promise<Uint8Array> {
  const { model } = work;
  const most = 1 + Math.min(caller.settings.migrationLimit, model.migrationLimit);
  const exclude: string[] = [];
  let failure: StatorError | null = null;
  let last = 0;
  for (let attempt = 0; attempt < most; attempt++) {
    const request = routeRequest(caller, work);
    if (failure !== null) Object.assign(request, { exclude, release: last });
    const decision = await decideAgain(caller, { namespace: model.namespace, request, failure });
    try {
      const { reservation, routerBoot } = decision;
      const worker = { address: decision.address, fleetToken: caller.settings.fleetToken };
      const asked = { requestId: caller.requestId, reservation, routerBoot, inputs: work.inputs };
      const { vectors, dimensions } = await callWorker(worker, 'Embed', SCHEMAS, asked);
      if (vectors.length === work.inputs.length * dimensions * 4) return vectors;
      throw new StatorError('worker_unavailable', 'A worker sent vectors of a wrong length.');
    } catch (thrown) {
      failure = toStatorError(thrown);
      last = decision.reservation;
      if (!failure.retryable) break;
      exclude.push(decision.worker);
    }
  }
  await release(caller, model.namespace, last);
  throw failure!;
}

/** Throws `failure`, what the last worker said, where "nobody is left" would say less. */
async function decideAgain(
  caller: Caller,
  { namespace, request, failure }: { namespace: string; request: RouteRequest; failure: StatorError | null },
): Promise<RouteDecision> {
  for (let pauses = 0; ; pauses++) {
    try {
      return await decide(caller, namespace, request);
    } catch (thrown) {
      if (toStatorError(thrown).code !== 'no_workers') throw thrown;
      // The last worker of a model that goes to sleep: the router knows in a moment, and then wakes another one.
      const mayChange = failure?.code === 'worker_draining' && pauses < LIMITS.drainingPauses;
      if (!mayChange) throw failure ?? thrown;
    }
    await new Promise((resolve) => setTimeout(resolve, LIMITS.sameWorkerPauseMs));
  }
}

function routeRequest(caller: Caller, { model, tokens, routing }: EmbedWork): RouteRequest {
  const request: RouteRequest = {
    requestId: caller.requestId,
    model: model.name,
    // Vectors are made in a context without a cache: whoever has the least to do is the best.
    blockHashes: NO_HASHES,
    promptTokens: tokens,
  };
  noteSleep(request, model);
  classify(caller, model.namespace, request);
  if (routing === null) return request;
  const { cacheNamespace: _, ...wishes } = routing;
  return Object.assign(request, wishes);
}
