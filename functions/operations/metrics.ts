/**
 * `GET /metrics`: what this isolate counts, what each Router object counts, each prefill queue that is used, what
 * planners see and want, and a global router where there is one, as Prometheus text.
 */
import { nearbyPrefillQueue } from '../../durable/prefill-queue/nearby.ts';
import { type Env, globalRouterOf, plannerOf, routerOf, settingsOf } from '../env.ts';
import { frontendMetrics } from '../metrics.ts';
import { plannerMetrics } from '../planner/planner-metrics.ts';
import { namespacesNow } from './namespaces.ts';
import { liveWorkers, poolInfo } from './pool-info.ts';

const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export async function metrics(env: Env, nowMs: number): Promise<Response> {
  const namespaces = await namespacesNow(env, nowMs);
  const parts = await Promise.all(namespaces.map((namespace) => routerOf(env, namespace).metrics()));
  const own = frontendMetrics(settingsOf(env).metricsPrefix).text();
  const queues = namespaces.map((namespace) => nearbyPrefillQueue(namespace)?.metrics() ?? '');
  const pools = await poolInfo(env, nowMs);
  const global = pools === null ? '' : await globalRouterOf(env).metrics(liveWorkers(pools));
  const planners = await planning(env, namespaces);
  return new Response([own, ...parts, ...queues, planners, global].join(''), {
    headers: { 'content-type': CONTENT_TYPE },
  });
}

/** Where there is no planner, its objects are not brought into being. */
async function planning(env: Env, namespaces: readonly string[]): Promise<string> {
  const { metricsPrefix, planner } = settingsOf(env);
  if (planner === 'off') return '';
  const told = namespaces.map(async (name) => [name, await plannerOf(env, name).status()] as const);
  return plannerMetrics(metricsPrefix, new Map(await Promise.all(told)));
}
