/**
 * The life of one call in the worker: its place among the open ones, its deadline, its end. The deadline is for the answer, and
 * for each item of a stream anew; who leaves, and a worker that ends, abort the signal that the user's code has.
 */

import { StatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import type { Admission, OpenResponse } from '../server/admission.ts';
import { type Answer, answerCall, type Item } from './answer.ts';
import type { ComponentMetrics } from './component-metrics.ts';
import type { CallContext, Component } from './define-component.ts';
import type { EndpointClient } from './endpoint-client.ts';

export interface CallRequest {
  endpoint: string;
  /** JSON, or bytes of another type. */
  input: unknown;
  headers: Readonly<Record<string, string>>;
  requestId: string;
  /** null: the limit. */
  timeoutMs: number | null;
}

/** What calls need of the worker. */
export interface CallHost {
  readonly component: Component;
  readonly admission: Admission;
  readonly metrics: ComponentMetrics;
  readonly isDraining: boolean;
  client(address: string): EndpointClient;
  /** An endpoint has answered: it lives. */
  answered(endpoint: string): void;
}

export class RunningCall implements OpenResponse {
  place = -1;
  readonly #host: CallHost;
  readonly #request: CallRequest;
  readonly #over = new AbortController();
  readonly #timeoutMs: number;
  #outcome: 'ok' | 'error' = 'error';

  /** Throws `worker_draining`, `overloaded` or `not_found`. */
  constructor(host: CallHost, request: CallRequest) {
    this.#host = host;
    this.#request = request;
    this.#timeoutMs = Math.min(request.timeoutMs ?? LIMITS.componentCallMs, LIMITS.componentCallMs);
    if (host.isDraining) throw new StatorError('worker_draining', 'this worker takes no new calls');
    if (!host.component.endpoints.has(request.endpoint)) {
      throw new StatorError(
        'not_found',
        `component ${host.component.component} has no endpoint ${request.endpoint}`,
      );
    }
    if (!host.admission.enter(this))
      throw new StatorError('overloaded', 'this worker has no place for another call');
  }

  /** Throws StatorError. */
  async answer(): Promise<Answer> {
    const { endpoint, headers, input, requestId } = this.#request;
    const { handler } = this.#host.component.endpoints.get(endpoint)!;
    const context: CallContext = {
      endpoint,
      signal: this.#over.signal,
      deadlineMs: Date.now() + this.#timeoutMs,
      requestId,
      headers,
      client: (address) => this.#host.client(address),
    };
    const answer = await answerCall(handler, input, context, (work) => this.#inTime(work));
    this.#host.answered(endpoint);
    return answer;
  }

  /** All was said. */
  done(): void {
    this.#outcome = 'ok';
  }

  /** The caller is gone, or has everything. */
  end(): void {
    if (this.place < 0) return;
    this.#host.admission.leave(this);
    this.#host.metrics.calls.labels(this.#request.endpoint, this.#outcome).add();
    this.#over.abort(new StatorError('cancelled', 'the call is over'));
  }

  cut(): void {
    this.#over.abort(new StatorError('worker_draining', 'this worker ends'));
  }

  async #inTime<T>(work: Promise<T>): Promise<T> {
    const { endpoint } = this.#request;
    const { signal } = this.#over;
    const stop = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      const error = new StatorError(
        'deadline_exceeded',
        `endpoint ${endpoint} did not answer in ${this.#timeoutMs} ms`,
      );
      stop.reject(error);
      this.#over.abort(error);
    }, this.#timeoutMs);
    const aborted = () => stop.reject(signal.reason);
    if (signal.aborted) aborted();
    else signal.addEventListener('abort', aborted, { once: true });
    // Whoever is not waited for any more may still fail.
    work.catch(() => {});
    try {
      return await Promise.race([work, stop.promise]);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', aborted);
    }
  }
}

/** Items one after the other, the first included. */
export async function* itemsOf(answer: Answer): AsyncGenerator<Item> {
  if (answer.kind === 'one') yield answer.item;
  else if (answer.first !== null) {
    try {
      yield answer.first;
      yield* answer.rest;
    } finally {
      await answer.rest.return(undefined);
    }
  }
}
