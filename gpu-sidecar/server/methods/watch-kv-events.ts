/**
 * KvEvents.Watch: what happens to the blocks of this worker, in all tiers, as its router hears it. Catches up as KvIndex.Query does,
 * then tells events as they come, at the reader's pace: one who falls behind the ring gets a dump, which replaces what he knows.
 */

import { create } from '@bufbuild/protobuf';
import type { WatchKvEventsRequest } from '../../proto/gen/stator/v1/kv_events_pb.js';
import { type KvIndexAnswer, KvIndexQuerySchema } from '../../proto/gen/stator/v1/kv_pb.js';
import type { Worker } from '../worker.ts';
import { queryKvIndex } from './kv-index.ts';

/** Ends when `gone` aborts. Throws `not_found` for a rank that this worker does not have. */
export async function* watchKvEvents(
  worker: Worker,
  { dpRank, startEventId }: WatchKvEventsRequest,
  gone: AbortSignal,
): AsyncGenerator<KvIndexAnswer, void> {
  const { events } = worker;
  let changed = Promise.withResolvers<void>();
  const stop = events.watch(() => changed.resolve());
  const left = () => changed.resolve();
  gone.addEventListener('abort', left);
  try {
    let next = events.next;
    const query = startEventId === undefined ? { dpRank } : { dpRank, startEventId };
    yield* queryKvIndex(worker, create(KvIndexQuerySchema, query));
    while (!gone.aborted) {
      if (next < events.next) {
        const from = next;
        next = events.next;
        yield* queryKvIndex(worker, create(KvIndexQuerySchema, { dpRank, startEventId: BigInt(from) }));
      } else {
        await changed.promise;
        changed = Promise.withResolvers();
      }
    }
  } finally {
    stop();
    gone.removeEventListener('abort', left);
  }
}
