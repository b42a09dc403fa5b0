/**
 * What the function side counts, by Dynamo's names behind the prefix (semantics 11). One registry per isolate.
 *
 * A request is counted when it ends. A client that leaves ends its request through the `abort` event of the request's
 * signal: after it no other code of that request runs (design 1.4), so nothing else may hold the in-flight count.
 */
import {
  type Counter,
  type Family,
  type Gauge,
  type Histogram,
  Metrics,
} from '../durable/runtime/metrics.ts';
import type { Endpoint } from './call.ts';

export type RequestEnd = 'success' | 'error' | 'cancelled';
export type MigrationType = 'new_request' | 'ongoing_request';

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

export class FrontendMetrics {
  readonly #registry: Metrics;
  readonly requests: Family<Counter>;
  readonly inflight: Family<Gauge>;
  readonly durations: Family<Histogram>;
  readonly migrations: Family<Counter>;
  readonly disconnected: Counter;

  constructor(prefix: string) {
    const registry = new Metrics({ prefix });
    const labels = ['model', 'endpoint', 'request_type', 'status'];
    this.#registry = registry;
    this.requests = registry.counter('frontend_requests_total', 'Requests that ended, by how.', labels);
    this.inflight = registry.gauge('frontend_inflight_requests', 'Requests being answered.', ['model']);
    this.durations = registry.histogram(
      'frontend_request_duration_seconds',
      'From arrival to the last byte.',
      SECONDS,
      ['model'],
    );
    this.migrations = registry.counter(
      'frontend_model_migration_total',
      'Requests sent to another worker after one was lost or refused.',
      ['model', 'migration_type'],
    );
    this.disconnected = registry
      .counter('frontend_disconnected_clients', 'Clients that left before their answer was complete.')
      .labels();
  }

  /** Prometheus text. */
  text(): string {
    return this.#registry.text();
  }
}

/** The metrics of one request. `ended` counts once, whoever calls it first. */
export class RequestTrack {
  readonly #metrics: FrontendMetrics;
  readonly #endpoint: Endpoint;
  readonly #startedMs: number;
  readonly #nowMs: () => number;
  #model = '';
  #requestType = 'unary';
  #running = false;
  #ended = false;
  #handedOver = false;

  constructor(
    metrics: FrontendMetrics,
    endpoint: Endpoint,
    clock: { startedMs: number; nowMs: () => number },
  ) {
    this.#metrics = metrics;
    this.#endpoint = endpoint;
    this.#startedMs = clock.startedMs;
    this.#nowMs = clock.nowMs;
  }

  /** The request is valid and its model known; from now on it is in flight. */
  accepted(model: string, stream: boolean): void {
    this.#model = model;
    if (stream) this.#requestType = 'stream';
    this.#running = true;
    this.#metrics.inflight.labels(model).add(1);
  }

  /** The end comes after the handler has returned. */
  streaming(): void {
    this.#handedOver = true;
  }

  get isStreaming(): boolean {
    return this.#handedOver;
  }

  migrated(type: MigrationType): void {
    this.#metrics.migrations.labels(this.#model, type).add();
  }

  ended(end: RequestEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    const { requests, inflight, durations, disconnected } = this.#metrics;
    requests.labels(this.#model, this.#endpoint, this.#requestType, end).add();
    if (!this.#running) return;
    inflight.labels(this.#model).add(-1);
    durations.labels(this.#model).observe((this.#nowMs() - this.#startedMs) / 1000);
    if (end === 'cancelled') disconnected.add();
  }
}

let metrics: { prefix: string; frontend: FrontendMetrics } | null = null;

/** The registry of this isolate. */
export function frontendMetrics(prefix: string): FrontendMetrics {
  if (metrics?.prefix !== prefix) metrics = { prefix, frontend: new FrontendMetrics(prefix) };
  return metrics.frontend;
}
