/**
 * What the function side counts, by Dynamo's names behind the prefix (semantics 11). One registry per isolate.
 *
 * A request is counted when it ends. A client that leaves a running answer ends its request through the `abort` event of
 * the request's signal (compatibility flag `enable_request_signal`): after it no other code of that request runs
 * (design 1.4), so nothing else may hold the in-flight count.
 */
import {
  type Counter,
  type Family,
  type Gauge,
  type Histogram,
  Metrics,
} from '../durable/runtime/metrics.ts';
import type { TrackedEndpoint } from './call.ts';

export type RequestEnd = 'success' | 'error' | 'cancelled';
export type MigrationType = 'new_request' | 'ongoing_request';

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

export class FrontendMetrics {
  readonly #registry: Metrics;
  readonly requests: Family<Counter>;
  readonly migrations: Family<Counter>;
  readonly disconnected: Counter;
  readonly #inflight: Family<Gauge>;
  readonly #durations: Family<Histogram>;
  readonly #models = new Map<string, { inflight: Gauge; duration: Histogram }>();

  constructor(prefix: string) {
    const registry = new Metrics({ prefix });
    const labels = ['model', 'endpoint', 'request_type', 'status'];
    this.#registry = registry;
    this.requests = registry.counter('frontend_requests_total', 'Requests that ended, by how.', labels);
    this.#inflight = registry.gauge('frontend_inflight_requests', 'Requests being answered.', ['model']);
    this.#durations = registry.histogram(
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

  /** What every request of a model touches, resolved once. Models are those of the directory, so they are few. */
  model(name: string): { inflight: Gauge; duration: Histogram } {
    let entry = this.#models.get(name);
    if (entry === undefined) {
      entry = { inflight: this.#inflight.labels(name), duration: this.#durations.labels(name) };
      this.#models.set(name, entry);
    }
    return entry;
  }

  /** Prometheus text. */
  text(): string {
    return this.#registry.text();
  }
}

export interface TrackOptions {
  /** Unix milliseconds at arrival. */
  startedMs: number;
  nowMs: () => number;
  /** The request's signal; asked for only when an answer outlives its handler, because making it costs microseconds. */
  signal: () => AbortSignal;
}

/** The metrics of one request. `ended` counts once, whoever calls it first. */
export class RequestTrack {
  readonly #metrics: FrontendMetrics;
  readonly #endpoint: TrackedEndpoint;
  readonly #options: TrackOptions;
  #model = '';
  #requestType = 'unary';
  #running = false;
  #ended = false;

  constructor(metrics: FrontendMetrics, endpoint: TrackedEndpoint, options: TrackOptions) {
    this.#metrics = metrics;
    this.#endpoint = endpoint;
    this.#options = options;
  }

  /** The request is valid and its model known; from now on it is in flight. Once or more. */
  accepted(model: string, stream: boolean): void {
    this.#model = model;
    if (stream) this.#requestType = 'stream';
    if (this.#running) return;
    this.#running = true;
    this.#metrics.model(model).inflight.add(1);
  }

  /** The answer goes on after the handler has returned, so the client may leave it. */
  outlivesHandler(): void {
    const signal = this.#options.signal();
    if (signal.aborted) this.ended('cancelled');
    else signal.addEventListener('abort', () => this.ended('cancelled'));
  }

  migrated(type: MigrationType): void {
    this.#metrics.migrations.labels(this.#model, type).add();
  }

  ended(end: RequestEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    const { requests, disconnected } = this.#metrics;
    requests.labels(this.#model, this.#endpoint, this.#requestType, end).add();
    if (!this.#running) return;
    const { inflight, duration } = this.#metrics.model(this.#model);
    inflight.add(-1);
    duration.observe((this.#options.nowMs() - this.#options.startedMs) / 1000);
    if (end === 'cancelled') disconnected.add();
  }
}

let metrics: { prefix: string; frontend: FrontendMetrics } | null = null;

/** The registry of this isolate. */
export function frontendMetrics(prefix: string): FrontendMetrics {
  if (metrics?.prefix !== prefix) metrics = { prefix, frontend: new FrontendMetrics(prefix) };
  return metrics.frontend;
}
