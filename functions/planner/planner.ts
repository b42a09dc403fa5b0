/**
 * `/planner/v1/{namespace}`: what a namespace's planner wants and why, and its orders for whoever executes them: a long poll
 * for the newest, and what became of it. `planner.proto` is the same for gRPC.
 */
import type * as z from 'zod';
import type { DecisionRecord, Demand, KeptOrder, Observation, Refused } from '../../durable/planner/rpc.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import { readJson } from '../body.ts';
import { type Env, type PlannerStub, plannerOf, settingsOf } from '../env.ts';
import { parseBody } from '../openai/parse.ts';
import { namespacesNow } from '../operations/namespaces.ts';
import {
  type completedSchema,
  completionSchema,
  decisionQuery,
  type decisionSchema,
  type decisionsSchema,
  type orderAnswerSchema,
  orderQuery,
  type orderSchema,
  type plannerStatusSchema,
} from './planner-schema.ts';

const NAMESPACE = /^[a-z0-9][a-z0-9-]{0,62}$/;
/** Who does not say its name. */
const ANYBODY = 'anybody';

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
  const planner = await plannerNamed(env, namespace, nowMs);
  const page = await planner.decisions({
    limit,
    replay,
    ...(after === undefined ? {} : { after }),
    ...(before === undefined ? {} : { before }),
  });
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

function shownDemand(demand: Demand | null): z.output<typeof decisionSchema>['demand'] {
  if (demand === null) return null;
  const { requestsPerMs, ...lengths } = demand;
  return { requestsPerSecond: 1000 * requestsPerMs, ...lengths };
}

function shownOrder<Outcome>({
  order,
  issuedMs,
  outcome,
  why,
}: Pick<KeptOrder, 'order' | 'issuedMs' | 'why'> & { outcome: Outcome }): Omit<
  z.output<typeof orderSchema>,
  'outcome'
> & { outcome: Outcome } {
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
