/** KvIndex: the worker's own view of its cache, for recovery without the fleet socket and for anyone who watches. */

import { StatorError } from '../../../durable/runtime/errors.ts';
import type { KvDump, KvEvent } from '../../proto/gen/stator/v1/fleet_pb.js';
import type { DumpRequest, EventsSinceRequest } from '../../proto/gen/stator/v1/kv_pb.js';
import type { Worker } from '../worker.ts';

/** Throws `events_gone` when the events have left the ring buffer. */
export function eventsSince(worker: Worker, request: EventsSinceRequest): Iterable<KvEvent> {
  checkRank(request.dpRank);
  const events = worker.events.since(Number(request.fromEventId));
  if (events === null) {
    throw new StatorError('events_gone', `event ${request.fromEventId} has left the buffer: take a dump`);
  }
  return events;
}

export function dump(worker: Worker, request: DumpRequest): Iterable<KvDump> {
  checkRank(request.dpRank);
  return worker.events.dump();
}

function checkRank(rank: number): void {
  if (rank !== 0)
    throw new StatorError('not_found', `dp_rank: this worker has no rank ${rank}`, { param: 'dp_rank' });
}
