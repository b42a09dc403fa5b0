/**
 * `POST /fleet/v1/prefill-queue/{namespace}/{method}`: workers hand prompts to each other through a namespace's PrefillQueue
 * object. The fleet token is checked first; bodies are messages of `prefill_queue.proto`.
 */
import type { Refused } from '../../durable/prefill-queue/rpc.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { readBytes } from '../body.ts';
import { type Env, type PrefillQueueStub, prefillQueueOf, settingsOf } from '../env.ts';
import { requireFleetToken } from '../middleware/api-key.ts';
import {
  cancelCall,
  enqueueAnswer,
  enqueueCall,
  leaseAnswer,
  leaseCall,
  reportAnswer,
  reportCall,
  watchAnswer,
  watchCall,
} from './prefill-queue-messages.ts';

const NAMESPACE = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** A job's own fields beside its work. */
const MOST_BYTES = LIMITS.prefillJobBytes + 16 * 1024;

type Method = (queue: PrefillQueueStub, body: Uint8Array) => Promise<Uint8Array>;

const METHODS: Readonly<Record<string, Method>> = {
  async enqueue(queue, body) {
    const answer = await queue.enqueue(enqueueCall(body));
    if ('refused' in answer) throw refusal(answer);
    return enqueueAnswer(answer);
  },
  lease: async (queue, body) => leaseAnswer(await queue.lease(leaseCall(body))),
  report: async (queue, body) => reportAnswer(await queue.report(reportCall(body))),
  async cancel(queue, body) {
    const { producer, requestIds } = cancelCall(body);
    await queue.cancel(producer, requestIds);
    return new Uint8Array();
  },
  async watch(queue, body) {
    const { producer, since } = watchCall(body);
    return watchAnswer(await queue.watch(producer, since));
  },
};

/** Throws `not_found` for other methods. */
export async function prefillQueue(
  env: Env,
  request: Request,
  { namespace, method }: { namespace: string; method: string },
): Promise<Response> {
  requireFleetToken(request, settingsOf(env).fleetToken);
  const handle = Object.hasOwn(METHODS, method) ? METHODS[method] : undefined;
  if (handle === undefined)
    throw new StatorError('not_found', `The prefill queue has no method '${method}'.`);
  if (!NAMESPACE.test(namespace)) {
    throw new StatorError('invalid_request', `'${namespace}' is not a namespace.`, { param: 'namespace' });
  }
  const body = await readBytes(request, MOST_BYTES);
  const answer = await handle(prefillQueueOf(env, namespace), body);
  return new Response(answer, { headers: { 'content-type': 'application/proto' } });
}

const refusal = ({ refused, message }: Refused) =>
  new StatorError(refused, message, refused === 'overloaded' ? { retryAfterS: 1 } : {});
