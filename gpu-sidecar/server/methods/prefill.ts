/**
 * Prefill: the blocks of a prompt for another worker. An ordinary request of one token that nobody reads: what it leaves behind
 * in the engine's cache is fetched while it is computed. For the router it is that worker's own reservation: accepted, first token
 * (the prompt is computed), end. A caller that leaves ends the engine's work at once.
 */

import { StatorError, toStatorError } from '../../../durable/runtime/errors.ts';
import { type EngineRequest, type FinishReason, GREEDY } from '../../engines/engine.ts';
import { PrefillPhase, type PrefillRequest } from '../../proto/gen/stator/v1/worker_pb.js';
import type { OpenResponse } from '../admission.ts';
import type { SinkObserver } from '../byte-sink.ts';
import { tokenIds } from '../generate-request.ts';
import { RequestReport } from '../request-report.ts';
import type { Worker } from '../worker.ts';

/** Where its progress goes; either `end` or `refuse` is the last call. */
export interface PrefillSink {
  progress(phase: PrefillPhase, cachedTokens: number): void;
  end(): void;
  refuse(error: StatorError): void;
}

/** Never throws: what goes wrong is refused into the sink. */
export function prefill(worker: Worker, request: PrefillRequest, sink: PrefillSink): SinkObserver {
  const call = new PrefillCall(worker, sink);
  call.begin(request);
  return call;
}

class PrefillCall implements SinkObserver, OpenResponse {
  place = -1;
  readonly #worker: Worker;
  readonly #sink: PrefillSink;
  #report: RequestReport | null = null;
  #abort: (() => void) | null = null;
  #cachedTokens = 0;
  #over = false;

  constructor(worker: Worker, sink: PrefillSink) {
    this.#worker = worker;
    this.#sink = sink;
  }

  begin(request: PrefillRequest): void {
    const { admission, engine, lifecycle } = this.#worker;
    try {
      if (!lifecycle.open) throw new StatorError('worker_draining', 'the worker is shutting down');
      const work = engineRequest(request, this.#worker);
      if (!admission.enter(this)) {
        throw new StatorError('overloaded', 'the worker has all the requests it can hold', {
          retryAfterS: 1,
        });
      }
      const { reservation, routerBoot } = request;
      this.#report = new RequestReport(this.#worker, { reservation, routerBoot, engine: work });
      const running = engine.submit(work, {
        started: (cachedTokens) => {
          this.#cachedTokens = cachedTokens;
          this.#report?.started(cachedTokens);
        },
        token: () => this.#computed(),
        end: (reason, error) => this.#ended(reason, error),
      });
      if (this.#over) return;
      this.#abort = () => running.abort();
      this.#report.accepted();
      this.#sink.progress(PrefillPhase.ACCEPTED, 0);
    } catch (thrown) {
      this.#fail(toStatorError(thrown));
    }
  }

  closed(): void {
    this.#stop();
    this.#end('cancelled', 'cancelled');
  }

  cut(): void {
    this.#fail(new StatorError('worker_draining', 'the worker is shutting down'));
  }

  #computed(): void {
    if (this.#over) return;
    this.#report?.accepted();
    this.#report?.token(0);
    this.#sink.progress(PrefillPhase.COMPUTED, this.#cachedTokens);
    this.#end('stop', 'ok');
    this.#sink.end();
  }

  /** A model may end a text at once: the prompt is computed all the same. */
  #ended(reason: FinishReason, error: Error | undefined): void {
    this.#abort = null;
    if (this.#over) return;
    if (reason === 'stop' || reason === 'length') this.#computed();
    else if (reason === 'cancelled') this.cut();
    else
      this.#fail(
        error === undefined ? new StatorError('engine_error', 'the engine failed') : toStatorError(error),
      );
  }

  #fail(error: StatorError): void {
    if (this.#over) return;
    this.#stop();
    this.#end('error', error.code);
    this.#sink.refuse(error);
  }

  #stop(): void {
    const abort = this.#abort;
    this.#abort = null;
    abort?.();
  }

  #end(reason: FinishReason, outcome: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#worker.admission.leave(this);
    this.#report?.ended(reason, outcome);
  }
}

/** Throws `invalid_request` naming the field, or `context_length_exceeded`. */
function engineRequest(request: PrefillRequest, { engine }: Worker): EngineRequest {
  const { contextLengthTokens } = engine.info;
  const ids = tokenIds(request.tokenIds, 'token_ids', engine.vocabulary);
  if (ids.length === 0) {
    throw new StatorError('invalid_request', 'token_ids: the prompt is empty', { param: 'token_ids' });
  }
  if (ids.length >= contextLengthTokens) {
    const message = `the prompt has ${ids.length} tokens, the context ${contextLengthTokens}`;
    throw new StatorError('context_length_exceeded', message, { param: 'token_ids' });
  }
  return {
    requestId: request.requestId,
    tokenIds: ids,
    promptTokens: ids.length,
    blockHashes: request.blockHashes,
    hashSeed: request.hashSeed,
    sampling: GREEDY,
    maxTokens: 1,
    minTokens: 0,
    stopTokenIds: [],
    ignoreEos: true,
    priority: request.priority,
  };
}
