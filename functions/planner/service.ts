/**
 * The planner's gRPC service over HTTP/1.1: bare messages (`application/proto`) and gRPC-Web. `planner.proto` is the contract; what
 * is said and refused is that of the HTTP routes.
 */
import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import type { Counts, DecisionRecord } from '../../durable/planner/rpc.ts';
import { StatorError, toStatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import {
  CompleteRequestSchema,
  CompleteResponseSchema,
  DecisionsRequestSchema,
  DecisionsResponseSchema,
  WaitRequestSchema,
  WaitResponseSchema,
} from '../../gpu-sidecar/proto/gen/stator/v1/planner_pb.js';
import { readBytes } from '../body.ts';
import { type Env, settingsOf } from '../env.ts';
import { framed, framedError, GRPC_WEB, unframed } from '../router/grpc-web.ts';
import { complete, decisionPage, orderFor, shownDemand, shownOrder } from './planner-calls.ts';

const PROTO = 'application/proto';
const USUAL_PAGE = 20;

type Method = (env: Env, message: Uint8Array, nowMs: number) => Promise<Uint8Array>;

const METHODS: Readonly<Record<string, Method>> = {
  async Wait(env, message, nowMs) {
    const { namespace, after, waitMs, executor } = decoded(WaitRequestSchema, message);
    const wish = { after: Number(after), waitMs: waitMs ?? LIMITS.plannerWaitMs, executor };
    const kept = await orderFor(env, namespace, wish, nowMs);
    if (kept === null) return toBinary(WaitResponseSchema, create(WaitResponseSchema));
    const { id, numPrefill, numDecode, issuedMs, outcome } = shownOrder(kept);
    const order = { decisionId: BigInt(id), numPrefill, numDecode, issuedMs, outcome };
    return toBinary(WaitResponseSchema, create(WaitResponseSchema, { order }));
  },
  async Complete(env, message, nowMs) {
    const { namespace, decisionId, failed, executor } = decoded(CompleteRequestSchema, message);
    const which = { namespace, id: Number(decisionId) };
    const { outcome } = await complete(env, which, { failed: failed ?? null, executor }, nowMs);
    return toBinary(CompleteResponseSchema, create(CompleteResponseSchema, { outcome }));
  },
  async Decisions(env, message, nowMs) {
    const { namespace, after, limit } = decoded(DecisionsRequestSchema, message);
    const query = { limit: limit || USUAL_PAGE, ...(after === undefined ? {} : { after: Number(after) }) };
    const page = await decisionPage(env, namespace, query, nowMs);
    const decisions = page.decisions.map(decisionMessage);
    return toBinary(DecisionsResponseSchema, create(DecisionsResponseSchema, { decisions }));
  },
};

/** Throws `not_found` for other methods. */
export async function plannerService(
  env: Env,
  request: Request,
  method: string,
  nowMs: number,
): Promise<Response> {
  const isWeb = (request.headers.get('content-type') ?? '').startsWith('application/grpc-web');
  try {
    const handle = Object.hasOwn(METHODS, method) ? METHODS[method] : undefined;
    if (handle === undefined) throw new StatorError('not_found', `The planner has no method '${method}'.`);
    const body = await readBytes(request, settingsOf(env).bodyLimitBytes);
    const answer = await handle(env, isWeb ? unframed(body) : body, nowMs);
    const headers = { 'content-type': isWeb ? GRPC_WEB : PROTO };
    return new Response(isWeb ? framed(answer) : answer, { headers });
  } catch (thrown) {
    if (!isWeb) throw thrown;
    return new Response(framedError(toStatorError(thrown)), { headers: { 'content-type': GRPC_WEB } });
  }
}

function decisionMessage({ id, kind, input, decision, outcome, why }: DecisionRecord) {
  const { atMs, proposed, counts, restrained, because, demand } = decision;
  const ready = Object.fromEntries(Object.entries(input.fleet).map(([role, of]) => [role, of.ready]));
  const shown = shownDemand(demand);
  return {
    id: BigInt(id),
    kind,
    atMs,
    ready: countsMessage(ready),
    ...(proposed === null ? {} : { proposed: countsMessage(proposed) }),
    counts: countsMessage(counts),
    restrained,
    because,
    outcome,
    why,
    ...(shown === null ? {} : { demand: shown }),
  };
}

const countsMessage = ({ worker, prefill, decode }: Counts) => ({
  ...(worker === undefined ? {} : { workers: worker }),
  ...(prefill === undefined ? {} : { prefill }),
  ...(decode === undefined ? {} : { decode }),
});

function decoded<Desc extends DescMessage>(schema: Desc, bytes: Uint8Array): MessageShape<Desc> {
  try {
    return fromBinary(schema, bytes);
  } catch (cause) {
    throw new StatorError('invalid_frame', `The body is no ${schema.typeName}.`, { cause });
  }
}
