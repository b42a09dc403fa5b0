/** `GET /planner/v1`: the one GPU budget and what each namespace has of it. */
import * as z from 'zod';
import type { GlobalPlannerStatus } from '../../durable/global-planner/rpc.ts';
import { type Env, globalPlannerOf } from '../env.ts';

const count = z.number().int().min(0);
const counts = z.partialRecord(z.enum(['worker', 'prefill', 'decode']), count);

export const globalPlannerSchema: z.ZodType<GlobalPlannerStatus> = z.object({
  maxTotalGpus: count.nullable(),
  grantedGpus: count,
  runningGpus: count,
  namespaces: z.array(
    z.object({
      namespace: z.string(),
      priority: z.number().int(),
      weight: z.number().int(),
      wanted: counts,
      granted: counts,
      running: counts,
      leaseEndsMs: z.number(),
    }),
  ),
});

export const getGlobalPlanner = async (env: Env): Promise<Response> =>
  Response.json(await globalPlannerOf(env).status());
