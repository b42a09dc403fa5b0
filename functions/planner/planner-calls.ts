/** Calls of a namespace's planner, the same for HTTP and gRPC: refusals become errors, and orders have Dynamo's terms. */
import type * as z from 'zod';
import type {
  Completion,
  DecisionPage,
  DecisionQuery,
  Demand,
  KeptOrder,
  OrderWish,
  Refused,
} from '../../durable/planner/rpc.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import { type Env, type PlannerStub, plannerOf, settingsOf } from '../env.ts';
import { namespacesNow } from '../operations/namespaces.ts';
import type { decisionSchema, orderSchema } from './planner-schema.ts';

const NAMESPACE = /^[a-z0-9][a-z0-9-]{0,62}$/;
/** Who does not say its name. */
const ANYBODY = 'anybody';

/** Null: none came in time. Throws `conflict` when somebody else executes. */
export async function orderFor(
  env: Env,
  namespace: string,
  { executor, ...wish }: OrderWish,
  nowMs: number,
): Promise<KeptOrder | null> {
  const planner = await plannerNamed(env, namespace, nowMs);
  return granted(await planner.waitOrder({ ...wish, executor: executor || ANYBODY }));
}

/** Throws `not_found` for an order that never was, `conflict` when somebody else executes or has said otherwise. */
export async function complete(
  env: Env,
  { namespace, id }: { namespace: string; id: number },
  { failed, executor }: { failed: string | null; executor: string },
  nowMs: number,
): Promise<Completion> {
  const planner = await plannerNamed(env, namespace, nowMs);
  return granted(await planner.completeOrder(id, { failed, executor: executor || ANYBODY }));
}

export async function decisionPage(
  env: Env,
  namespace: string,
  query: DecisionQuery,
  nowMs: number,
): Promise<DecisionPage> {
  return (await plannerNamed(env, namespace, nowMs)).decisions(query);
}

/**
 * Throws `not_found`: asking for an unknown namespace must not bring one into being. With a planner it may be one whose
 * workers all sleep.
 */
export async function plannerNamed(env: Env, namespace: string, nowMs: number): Promise<PlannerStub> {
  const mayBe = settingsOf(env).planner !== 'off' && NAMESPACE.test(namespace);
  if (!mayBe && !(await namespacesNow(env, nowMs)).includes(namespace)) {
    throw new StatorError('not_found', `There is no namespace '${namespace}'.`, { param: 'namespace' });
  }
  return plannerOf(env, namespace);
}

export function shownDemand(demand: Demand | null): z.output<typeof decisionSchema>['demand'] {
  if (demand === null) return null;
  const { requestsPerMs, ...lengths } = demand;
  return { requestsPerSecond: 1000 * requestsPerMs, ...lengths };
}

export function shownOrder<Outcome>({
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

function granted<T extends object | null>(answer: T | Refused): T {
  if (answer !== null && 'refused' in answer) throw new StatorError(answer.refused, answer.message);
  return answer as T;
}
