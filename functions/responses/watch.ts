/**
 * While a response is computed, the object that keeps it is watched: when somebody cancels or deletes it, the worker's
 * connection is broken, and the worker stops and tells the object how far it came. Being watched is also how the object
 * knows that somebody works on it. A response with a client begins to be watched after a second, so that short ones
 * cost nothing.
 */
import { StatorError } from '../../durable/runtime/errors.ts';
import type { ConversationsStub } from '../env.ts';

/** Until the response has its end, or is not wanted: then aborts. Never throws. */
export async function watch(store: ConversationsStub, id: string, abort: AbortController): Promise<void> {
  try {
    let now = await store.watch(id);
    while (now === 'going') now = await store.watch(id);
    if (now === 'ended') return;
  } catch {
    // The object is gone, and nobody can ask for the response.
  }
  abort.abort(new StatorError('cancelled', 'The response was cancelled or deleted.'));
}
