/**
 * KvIndex: the worker's own view of its cache, for recovery without the fleet socket and for anyone who watches
 * (semantics §3.3).
 */

import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { StatorError } from '../../../durable/runtime/errors.ts';
import {
  type KvIndexAnswer,
  KvIndexAnswerSchema,
  type KvIndexQuery,
} from '../../proto/gen/stator/v1/kv_pb.js';
import type { Worker } from '../worker.ts';

const EVENTS_PER_MESSAGE = 64;

/** Throws `not_found` for a rank that this worker does not have. */
export function* queryKvIndex(worker: Worker, query: KvIndexQuery): Generator<KvIndexAnswer> {
  if (query.dpRank !== 0) {
    const message = `dp_rank: this worker has no rank ${query.dpRank}`;
    throw new StatorError('not_found', message, { param: 'dp_rank' });
  }
  const { startEventId, endEventId } = query;
  const newest = BigInt(worker.events.next) - 1n;
  if (startEventId === undefined || newest < 0n) {
    yield* treeDump(worker);
  } else if (endEventId !== undefined && endEventId < startEventId) {
    yield answer({ case: 'invalidRange', value: { startEventId, endEventId } });
  } else if (startEventId > newest) {
    yield answer({ case: 'tooNew', value: { lastEventId: newest } });
  } else {
    const events = worker.events.since(Number(startEventId));
    if (events === null) {
      yield* treeDump(worker);
      return;
    }
    const wanted = events.filter(({ eventId }) => endEventId === undefined || eventId <= endEventId);
    for (let at = 0; at === 0 || at < wanted.length; at += EVENTS_PER_MESSAGE) {
      const part = wanted.slice(at, at + EVENTS_PER_MESSAGE);
      yield answer({ case: 'events', value: { events: part, lastEventId: newest } });
    }
  }
}

function* treeDump(worker: Worker): Generator<KvIndexAnswer> {
  let frames: ReturnType<Worker['events']['dump']>;
  try {
    frames = worker.events.dump();
  } catch (thrown) {
    yield answer({ case: 'treeDumpFailed', value: { message: String(thrown) } });
    return;
  }
  for (const value of frames) yield answer({ case: 'treeDump', value });
}

type Answer = NonNullable<MessageInitShape<typeof KvIndexAnswerSchema>['answer']>;

const answer = (one: Answer) => create(KvIndexAnswerSchema, { answer: one });
