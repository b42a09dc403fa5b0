/**
 * `GET /metrics`: what this isolate counts, what each Router object counts, each prefill queue that is used, and a global router
 * where there is one, as Prometheus text.
 */
import { nearbyPrefillQueue } from '../../durable/prefill-queue/nearby.ts';
import { type Env, globalRouterOf, routerOf, settingsOf } from '../env.ts';
import { frontendMetrics } from '../metrics.ts';
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
  return new Response([own, ...parts, ...queues, global].join(''), {
    headers: { 'content-type': CONTENT_TYPE },
  });
}
