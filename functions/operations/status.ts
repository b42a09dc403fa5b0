/** `GET /stator/v1/status`: what a Router object has in hand, for `stator status`. `?namespace=` names another one. */
import { StatorError } from '../../durable/runtime/errors.ts';
import { type Env, routerOf, settingsOf } from '../env.ts';
import { namespacesNow } from './namespaces.ts';

/** Throws `not_found`: asking for an unknown namespace must not bring one into being. */
export async function status(env: Env, namespace: string | undefined, nowMs: number): Promise<Response> {
  const wanted = namespace ?? settingsOf(env).namespace;
  if (!(await namespacesNow(env, nowMs)).includes(wanted)) {
    throw new StatorError('not_found', `There is no namespace '${wanted}'.`, { param: 'namespace' });
  }
  return Response.json(await routerOf(env, wanted).status());
}
