/** `GET /stator/v1/status`: what a Router object has in hand, for `stator status`. `?namespace=` names another one. */
import * as z from 'zod';
import { ROUTER_MODES, type RouterStatus, TIER_NAMES } from '../../durable/router/rpc.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import { type Env, routerOf, settingsOf } from '../env.ts';
import { knownModels } from './models.ts';
import { namespacesNow } from './namespaces.ts';

const count = z.number().min(0);

export const statusSchema: z.ZodType<RouterStatus> = z.object({
  routerBoot: count,
  mode: z.enum(ROUTER_MODES),
  inFlight: count,
  indexBlocks: count,
  indexBytes: count,
  queue: z.array(
    z.object({
      model: z.string(),
      policyClass: z.string(),
      requests: count,
      rawIslTokens: count,
      cachedTokens: count,
      deficitTokens: z.number(),
    }),
  ),
  sleeping: z.array(z.string()),
  held: count,
  workers: z.array(
    z.object({
      instanceId: z.string(),
      epoch: count,
      model: z.string(),
      engine: z.string(),
      workerType: z.enum(['aggregated', 'prefill', 'decode', 'encode']),
      address: z.string(),
      grpcAddress: z.string(),
      phase: z.enum(['serving', 'draining', 'lost']),
      activeRequests: count,
      activePrefillTokens: count,
      activeBlocks: count,
      cachedBlocks: count,
      totalBlocks: count,
      blockSizeTokens: count,
      contextLengthTokens: count,
      maxNumSeqs: count,
      running: count,
      waiting: count,
      tiers: z.array(
        z.object({ tier: z.enum(TIER_NAMES), blocks: count, capacityBlocks: count, degraded: z.boolean() }),
      ),
    }),
  ),
});

/** Throws `not_found`: asking for an unknown namespace must not bring one into being. */
export async function status(env: Env, namespace: string | undefined, nowMs: number): Promise<Response> {
  const wanted = namespace ?? settingsOf(env).namespace;
  if (!(await namespacesNow(env, nowMs)).includes(wanted)) {
    throw new StatorError('not_found', `There is no namespace '${wanted}'.`, { param: 'namespace' });
  }
  const status = await routerOf(env, wanted).status();
  // The router may have restarted while its models slept, and does not know of them.
  const asleep = (await knownModels(env, nowMs)).filter(
    ({ namespace, sleeping }) => namespace === wanted && sleeping,
  );
  const sleeping = [...new Set([...status.sleeping, ...asleep.map(({ name }) => name)])].filter(
    (name) => !status.workers.some(({ model, phase }) => model === name && phase !== 'draining'),
  );
  return Response.json({ ...status, sleeping });
}
