/**
 * `GET` and `PUT /router/queue_policy`: the policy classes of the router's queue, changed while requests wait (semantics
 * §1.7). A changed policy lives as long as its Router object; what a start begins with is the setting. `?namespace=` names another one.
 */
import type { RouteRefusal } from '../../durable/router/rpc.ts';
import { isErrorCode, StatorError } from '../../durable/runtime/errors.ts';
import { readJson } from '../body.ts';
import { type Env, type RouterStub, routerOf, settingsOf } from '../env.ts';
import { namespacesNow } from './namespaces.ts';

export async function getQueuePolicy(
  env: Env,
  namespace: string | undefined,
  nowMs: number,
): Promise<Response> {
  return Response.json(await (await routerNamed(env, namespace, nowMs)).queuePolicy());
}

/** Throws `invalid_request` naming the field that is wrong; then nothing has changed. */
export async function putQueuePolicy(
  env: Env,
  request: Request,
  namespace: string | undefined,
  nowMs: number,
): Promise<Response> {
  const document = await readJson(request, settingsOf(env).bodyLimitBytes);
  const router = await routerNamed(env, namespace, nowMs);
  const refused: RouteRefusal | null = await router.setQueuePolicy(document);
  if (refused !== null) {
    throw new StatorError(isErrorCode(refused.code) ? refused.code : 'internal', refused.message);
  }
  return Response.json(await router.queuePolicy());
}

/** Throws `not_found`: asking for an unknown namespace must not bring one into being. */
async function routerNamed(env: Env, namespace: string | undefined, nowMs: number): Promise<RouterStub> {
  const wanted = namespace ?? settingsOf(env).namespace;
  if (!(await namespacesNow(env, nowMs)).includes(wanted)) {
    throw new StatorError('not_found', `There is no namespace '${wanted}'.`, { param: 'namespace' });
  }
  return routerOf(env, wanted);
}
