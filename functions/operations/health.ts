/** `/health`: is there a model that can answer (semantics 11)? `/live`: does this process answer? Both without a key. */
import * as z from 'zod';
import type { Env } from '../env.ts';
import { knownModels } from './models.ts';

export const healthySchema = z.object({
  status: z.literal('healthy'),
  endpoints: z.array(z.string()),
  instances: z.array(z.string()),
});
export const notReadySchema = z.object({
  status: z.literal('not_ready'),
  stage: z.enum(['models', 'directory']),
  message: z.string(),
});
export const liveSchema = z.object({ status: z.literal('live'), message: z.string() });

export async function health(env: Env, nowMs: number): Promise<Response> {
  try {
    const known = await knownModels(env, nowMs);
    const models = known.filter(({ prefillOnly }) => !prefillOnly);
    if (models.length === 0) {
      const waiting = known.map(({ name }) => `'${name}'`).join(', ');
      const message =
        known.length === 0
          ? 'No worker has registered.'
          : `${waiting} has prefill workers only: it wants a decode worker (--decode-workers).`;
      return Response.json({ status: 'not_ready', stage: 'models', message }, { status: 503 });
    }
    const endpoints = [...new Set(models.map(({ namespace }) => `dyn://${namespace}.backend.generate`))];
    const instances = [...new Set(models.flatMap((model) => model.instances))];
    return Response.json({ status: 'healthy', endpoints, instances });
  } catch {
    return Response.json(
      { status: 'not_ready', stage: 'directory', message: 'The directory of models does not answer.' },
      { status: 503 },
    );
  }
}

export function live(): Response {
  return Response.json({ status: 'live', message: 'The platform answers.' });
}
