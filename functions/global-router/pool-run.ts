/**
 * One request's way through the pools: the selected one, with priority retry the faster ones after it, and last the
 * overflow. It moves on when a pool cannot serve (nobody there, all overloaded, every attempt lost), and only as long as
 * the client has no byte of the answer; whoever asks knows that. What is wrong with the request stays wrong everywhere.
 *
 * A pool that is tried instead of another sees a new request: it queues there in its class like any other, so a failure buys
 * nobody a better place (semantics §1.7).
 */
import type { OpenAiPool, PoolChoice } from '../../durable/global-router/rpc.ts';
import { type ErrorCode, StatorError } from '../../durable/runtime/errors.ts';
import type { PreparedRequest } from '../prepared-request.ts';

/** Errors that say something of the pool and nothing of the request. */
const POOL_FAULTS: readonly ErrorCode[] = [
  'no_workers',
  'worker_unavailable',
  'worker_draining',
  'migration_exhausted',
  'overloaded',
];

/** A pool in the order of one request. */
export interface Candidate {
  name: string;
  why: PoolChoice;
  /** The request as this pool wants it, or why it cannot have it. */
  prepare(): Destination | StatorError;
}

export type Destination =
  | { kind: 'namespace'; prepared: PreparedRequest }
  | { kind: 'openai'; pool: OpenAiPool };

/** Who counts what happened. */
export interface PoolTally {
  given(pool: string, why: PoolChoice): void;
  failed(pool: string, code: ErrorCode): void;
}

export class PoolRun {
  readonly #candidates: readonly Candidate[];
  readonly #tally: PoolTally;
  #at = -1;

  constructor(candidates: readonly Candidate[], tally: PoolTally) {
    this.#candidates = candidates;
    this.#tally = tally;
  }

  /** Name of the pool that has the request. */
  get current(): string {
    return this.#candidates[this.#at]?.name ?? '';
  }

  /** The first pool that may have it. Throws what the last one said where none may. */
  first(): Destination {
    const found = this.#onward(null);
    if (found instanceof StatorError) throw found;
    return found;
  }

  /** The next pool after the current one failed; or the error that the client gets. */
  next(error: StatorError): Destination | StatorError {
    this.#tally.failed(this.current, error.code);
    return POOL_FAULTS.includes(error.code) ? this.#onward(error) : error;
  }

  /** The current pool lost the request behind its first bytes, so that no other can have it. */
  lost({ code }: StatorError): void {
    this.#tally.failed(this.current, code);
  }

  #onward(error: StatorError | null): Destination | StatorError {
    let failure = error;
    for (this.#at++; this.#at < this.#candidates.length; this.#at++) {
      const candidate = this.#candidates[this.#at]!;
      this.#tally.given(candidate.name, candidate.why);
      const found = candidate.prepare();
      if (!(found instanceof StatorError)) return found;
      this.#tally.failed(candidate.name, found.code);
      // That a pool elsewhere cannot take the request is an addition to why it was asked at all.
      failure = failure === null || POOL_FAULTS.includes(found.code) ? found : withNote(failure, found);
    }
    return failure ?? new StatorError('no_workers', 'No pool is configured for this request.');
  }
}

function withNote(failure: StatorError, { message }: StatorError): StatorError {
  return new StatorError(failure.code, `${failure.message} ${message}`, {
    ...(failure.param === null ? {} : { param: failure.param }),
    ...(failure.retryAfterS === null ? {} : { retryAfterS: failure.retryAfterS }),
    ...(failure.report === null ? {} : { report: failure.report }),
    cause: failure,
  });
}
