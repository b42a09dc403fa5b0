/**
 * `/planner/v1/{namespace}`: what a namespace's planner wants and why, and its orders for whoever executes them: a long poll
 * for the newest, and what became of it. `planner.proto` is the same for gRPC.
 */
import type * as z from 'zod';
import type { DecisionRecord, Observation } from '../../durable/planner/rpc.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import { readJson } from '../body.ts';
import { type Env, settingsOf } from '../env.ts';
import { parseBody } from '../openai/parse.ts';
import { complete, decisionPage, orderFor, plannerNamed, shownDemand, shownOrder } from './planner-calls.ts';
import {
  type completedSchema,
  completionSchema,
  decisionQuery,
  type decisionSchema,
  type decisionsSchema,
  type orderAnswerSchema,
  orderQuery,
  type plannerStatusSchema,
} from './planner-schema.ts';

export async function getPlanner(env: Env, namespace: string, nowMs: number): Promise<Response> {
  const { order, bounds, demand, ...rest } = await (await plannerNamed(env, namespace, nowMs)).status();
  return Response.json({
    ...rest,
    demand: shownDemand(demand),
    bounds: Object.fromEntries(
      Object.entries(bounds).map(([role, { min, max } = { min: 0, max: 0 }]) => [role, { min, max }]),
    ),
    order: order === null ? null : { ...shownOrder(order), executor: order.executor },
  } satisfies z.output<typeof plannerStatusSchema>);
}

/** The newest ones, or those after or before a number; each says what it saw, wanted and did. */
export async function listDecisions(
  env: Env,
  namespace: string,
  query: Record<string, string>,
  nowMs: number,
): Promise<Response> {
  const { after, before, limit, replay } = parseBody(decisionQuery, query);
  const bounds = {
    ...(after === undefined ? {} : { after }),
    ...(before === undefined ? {} : { before }),
  };
  const page = await decisionPage(env, namespace, { limit, replay, ...bounds }, nowMs);
  const decisions = page.decisions.map((record) => ({
    ...shownDecision(record),
    ...(replay ? { input: record.input, decision: record.decision } : {}),
  }));
  const { starts, profiles } = page;
  return Response.json({ decisions, ...(replay ? { starts, profiles } : {}) } satisfies z.output<
    typeof decisionsSchema
  >);
}

export async function waitForOrder(
  env: Env,
  namespace: string,
  query: Record<string, string>,
  nowMs: number,
): Promise<Response> {
  const { after, wait_ms: waitMs, executor = '' } = parseBody(orderQuery, query);
  const kept = await orderFor(env, namespace, { after, waitMs, executor }, nowMs);
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
  const { outcome, why, executor = '' } = parseBody(completionSchema, body);
  if (!/^[0-9]{1,15}$/.test(id)) throw new StatorError('invalid_request', `'${id}' is no order's number.`);
  const failed = outcome === 'failed' ? (why ?? 'no reason given') : null;
  const done = await complete(env, { namespace, id: Number(id) }, { failed, executor }, nowMs);
  return Response.json(done satisfies z.output<typeof completedSchema>);
}

function shownDecision({
  id,
  kind,
  input,
  decision,
  outcome,
  why,
}: DecisionRecord): z.output<typeof decisionSchema> {
  const { look, atMs, observation, demand, proposed, counts, restrained, because } = decision;
  return {
    id,
    kind,
    look,
    atMs,
    fleet: input.fleet,
    observation: observation === null ? null : withoutHistograms(observation),
    demand: shownDemand(demand),
    proposed,
    counts,
    restrained,
    because,
    outcome,
    why,
  };
}

function withoutHistograms(observation: Observation): Observation {
  if (observation.kind === 'held') return observation;
  const { computedTokens, ttftMs, outputTokens, itlMs, ...means } = observation;
  return means as Observation;
}
