/**
 * A response without a client: computed to its end by a function whose own answer is out. Nothing is piped anywhere, so
 * `waitUntil` is right here (design 1.4 forbids it for pipes).
 *
 * When this process ends, so does the work: the object finds out when nobody watches, and says that it failed.
 */
import { StatorError, toStatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import type { Call } from '../call.ts';
import type { ConversationsStub } from '../env.ts';
import type { InferenceRequest } from '../inference-request.ts';
import { inResponsesWords } from './chat-words.ts';
import { runFitting } from './truncate.ts';
import { watch } from './watch.ts';

let running = 0;

/** Throws `overloaded` when there are as many as may be. */
export function checkBackground(): void {
  if (running < LIMITS.backgroundResponses) return;
  const message = `There are ${LIMITS.backgroundResponses} responses in the background, which is the most.`;
  throw new StatorError('overloaded', message, { retryAfterS: 1 });
}

export function inBackground(
  call: Call,
  store: ConversationsStub,
  request: InferenceRequest,
  waitUntil: (work: Promise<unknown>) => void,
): void {
  running++;
  call.track.outlivesHandler();
  const id = request.record!.responseId;
  const abort = new AbortController();
  const failed = (error: StatorError) => store.fail(id, inResponsesWords(error).message);
  const work = compute({ ...call, abort: abort.signal, failed }, request)
    // Nothing is left to do where the worker told the end, or somebody cancelled.
    .then(() => store.fail(id, 'The worker did not tell the end of the response.'))
    .catch(async (thrown) => {
      call.track.ended(abort.signal.aborted ? 'cancelled' : 'error');
      if (!abort.signal.aborted) await failed(toStatorError(thrown));
    })
    .finally(() => {
      running--;
    });
  waitUntil(work);
  waitUntil(watch(store, id, abort));
}

/** The worker has told the object all of it: what comes here is only waited for. */
async function compute(call: Call, request: InferenceRequest): Promise<void> {
  const response = await runFitting({ ...request, stream: false }, call);
  await response.text();
}
