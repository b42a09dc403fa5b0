/**
 * `GET /stator/v1/prefill_queue`: what waits in a namespace's prefill queue, and its dead letters. `POST
 * /stator/v1/prefill_queue/dead_letters` puts them back into the queue or drops them. `?namespace=` names another one.
 */
import * as z from 'zod';
import type { PrefillQueueStatus } from '../../durable/prefill-queue/rpc.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { readJson } from '../body.ts';
import { type Env, type PrefillQueueStub, prefillQueueOf, settingsOf } from '../env.ts';
import { parseBody } from '../openai/parse.ts';
import { namespacesNow } from './namespaces.ts';

const count = z.number().min(0);

export const prefillQueueSchema: z.ZodType<PrefillQueueStatus> = z.object({
  models: z.array(z.object({ model: z.string(), waiting: count, leased: count, oldestMs: count })),
  bytes: count,
  redelivered: count,
  deadLetters: z.array(
    z.object({
      id: z.string(),
      requestId: z.string(),
      producer: z.string(),
      model: z.string(),
      reason: z.string(),
      deliveries: count,
      bytes: count,
      deadSinceMs: count,
    }),
  ),
});

export const deadLettersSchema = z.strictObject({
  action: z.enum(['requeue', 'drop']),
  /** All of them when there are none. */
  ids: z.array(z.string().max(256)).max(LIMITS.prefillDeadLetters).optional(),
});

export const deadLettersDoneSchema = z.object({ jobs: count });

export async function getPrefillQueue(
  env: Env,
  namespace: string | undefined,
  nowMs: number,
): Promise<Response> {
  return Response.json(await (await queueNamed(env, namespace, nowMs)).status());
}

/** Ids that are no dead letters any more are passed over; the answer says how many there were. */
export async function handleDeadLetters(
  env: Env,
  request: Request,
  namespace: string | undefined,
  nowMs: number,
): Promise<Response> {
  const body = await readJson(request, settingsOf(env).bodyLimitBytes);
  const { action, ids } = parseBody(deadLettersSchema, body);
  const queue = await queueNamed(env, namespace, nowMs);
  const meant = ids ?? (await queue.status()).deadLetters.map(({ id }) => id);
  const jobs = await (action === 'requeue' ? queue.requeueDead(meant) : queue.dropDead(meant));
  return Response.json({ jobs } satisfies z.output<typeof deadLettersDoneSchema>);
}

/** Throws `not_found`: asking for an unknown namespace must not bring one into being. */
async function queueNamed(env: Env, namespace: string | undefined, nowMs: number): Promise<PrefillQueueStub> {
  const wanted = namespace ?? settingsOf(env).namespace;
  if (!(await namespacesNow(env, nowMs)).includes(wanted)) {
    throw new StatorError('not_found', `There is no namespace '${wanted}'.`, { param: 'namespace' });
  }
  return prefillQueueOf(env, wanted);
}
