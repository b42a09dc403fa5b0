/**
 * `GET`, `PUT` and `DELETE /global_router`: the document of pools, changed while requests run. Functions hear of it within
 * `LIMITS.poolsTtlMs`; requests under way go on as they began. A document lives as long as the GlobalRouter object; what a
 * start begins with is the setting.
 */
import { isErrorCode, StatorError } from '../../durable/runtime/errors.ts';
import { readJson } from '../body.ts';
import { type Env, globalRouterOf, settingsOf } from '../env.ts';

/** Throws `not_found` where there is none. */
export async function getGlobalRouter(env: Env): Promise<Response> {
  const { document } = await globalRouterOf(env).info();
  if (document !== null) return Response.json(document);
  throw new StatorError('not_found', 'There is no global router: see --global-router.');
}

/** Throws `invalid_request` naming the field that is wrong; then nothing has changed. */
export async function putGlobalRouter(env: Env, request: Request): Promise<Response> {
  const document = await readJson(request, settingsOf(env).bodyLimitBytes);
  await configure(env, document);
  return Response.json(document);
}

/** From now on each model is served by one namespace again. */
export async function deleteGlobalRouter(env: Env): Promise<Response> {
  await configure(env, null);
  return Response.json({ deleted: true });
}

async function configure(env: Env, document: unknown): Promise<void> {
  const refused = await globalRouterOf(env).configure(document);
  if (refused === null) return;
  const { code, message, param } = refused;
  throw new StatorError(isErrorCode(code) ? code : 'internal', message, param === null ? {} : { param });
}
