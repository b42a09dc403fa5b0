/**
 * `/planner/v1/{namespace}`: what a namespace's planner wants and why, and its orders for whoever executes them: a long poll
 * for the newest, and what became of it. `planner.proto` is the same for gRPC.
 */
import type * as z from 'zod';
import type { KeptOrder, Refused } from '../../durable/planner/rpc.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import { readJson } from '../body.ts';
import { type Env, type PlannerStub, plannerOf, settingsOf } from '../env.ts';
import { parseBody } from '../openai/parse.ts';
import { namespacesNow } from '../operations/namespaces.ts';
import {
  type completedSchema,
  completionSchema,
  type orderAnswerSchema,
  orderQuery,
  type orderSchema,
  type plannerStatusSchema,
} from './planner-schema.ts';

const NAMESPACE = /^[a-z0-9][a-z0-9-]{0,62}$/;
/** Who does not say its name. */
const ANYBODY = 'anybody';

export async function getPlanner(env: Env, namespace: string, nowMs: number): Promise<Response> {
  const { order, bounds, ...rest } = await (await plannerNamed(env, namespace, nowMs)).status();
  return Response.json({
    ...rest,
    bounds: Object.fromEntries(
      Object.entries(bounds).map(([role, { min, max } = { min: 0, max: 0 }]) => [role, { min, max }]),
    ),
    order: order === null ? null : { ...shownOrder(order), executor: order.executor },
  } satisfies z.output<typeof plannerStatusSchema>);
}

export async function waitForOrder(
  env: Env,
  namespace: string,
  query: Record<string, string>,
  nowMs: number,
): Promise<Response> {
  const { after, wait_ms: waitMs, executor = ANYBODY } = parseBody(orderQuery, query);
  const planner = await plannerNamed(env, namespace, nowMs);
  const kept = settled(await planner.waitOrder({ after, waitMs, executor }));
  const order = kept === null ? null : shownOrder(kept);
  return Response.json({ order } satisfies z.output<typeof orderAnswerSchema>);
}

/** Throws `not_found` for an order that never was, `conflict` when somebody else executes or has said otherwise. */
export async function completeOrder(
  env: Env,
  request: Request,
  { namespace, id }: { namespace: string; id: string },
  nowMs: number,
): Promise<Response> {
  const body = await readJson(request, settingsOf(env).bodyLimitBytes);
  const { outcome, why, executor = ANYBODY } = parseBody(completionSchema, body);
  if (!/^[0-9]{1,15}$/.test(id)) throw new StatorError('invalid_request', `'${id}' is no order's number.`);
  const planner = await plannerNamed(env, namespace, nowMs);
  const failed = outcome === 'failed' ? (why ?? 'no reason given') : null;
  const done = settled(await planner.completeOrder(Number(id), { failed, executor }));
  return Response.json(done satisfies z.output<typeof completedSchema>);
}

/**
 * Throws `not_found`: asking for an unknown namespace must not bring one into being. With a planner it may be one whose
 * workers all sleep.
 */
async function plannerNamed(env: Env, namespace: string, nowMs: number): Promise<PlannerStub> {
  const mayBe = settingsOf(env).planner !== 'off' && NAMESPACE.test(namespace);
  if (!mayBe && !(await namespacesNow(env, nowMs)).includes(namespace)) {
    throw new StatorError('not_found', `There is no namespace '${namespace}'.`, { param: 'namespace' });
  }
  return plannerOf(env, namespace);
}

function shownOrder({ order, issuedMs, outcome, why }: KeptOrder): z.output<typeof orderSchema> {
  const { id, counts } = order;
  return {
    id,
    counts,
    numPrefill: counts.prefill ?? -1,
    numDecode: counts.decode ?? counts.worker ?? -1,
    issuedMs,
    outcome,
    why,
  };
}

function settled<T extends object | null>(answer: T | Refused): T {
  if (answer !== null && 'refused' in answer) throw new StatorError(answer.refused, answer.message);
  return answer as T;
}
