/** What the queue counts, by class. Names are Dynamo's where the meaning is equal (semantics §1.7, §11). */

import { type Counter, type Family, type Histogram, Metrics } from '../../runtime/metrics.ts';
import type { ClassQueue } from './class-queue.ts';
import type { ModelQueue } from './model-queue.ts';

const SECONDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

export class QueueMetrics {
  readonly #metrics: Metrics;
  readonly #wait: Family<Histogram>;
  readonly #admitted: Family<Counter>;
  readonly #admittedTokens: Family<Counter>;
  readonly rejected: Family<Counter>;
  readonly expired: Family<Counter>;
  readonly abandoned: Family<Counter>;

  constructor(prefix: string, queues: () => Iterable<ModelQueue>) {
    const metrics = new Metrics({ prefix });
    const of = ['model', 'policy_class'];
    this.#metrics = metrics;
    const pending = metrics.gauge('frontend_router_queue_pending_requests', 'Requests that wait.', of);
    const pendingTokens = metrics.gauge('router_queue_pending_isl_tokens', 'Their prompt tokens.', of);
    this.#wait = metrics.histogram('router_queue_wait_seconds', 'From arrival to a worker.', SECONDS, of);
    this.#admitted = metrics.counter(
      'router_queue_dispatched_total',
      'Requests that waited and got a worker.',
      of,
    );
    this.#admittedTokens = metrics.counter(
      'router_queue_dispatched_uncached_tokens_total',
      'Uncached prompt tokens of those: what the classes share by their quanta.',
      of,
    );
    this.rejected = metrics.counter(
      'router_queue_rejected_total',
      'Requests refused at a limit of their class.',
      [...of, 'limit_kind'],
    );
    this.expired = metrics.counter(
      'frontend_router_queue_deadline_expired_total',
      'Requests shed because they waited longer than the slo_ms of their class.',
      ['policy_class', 'stage'],
    );
    this.abandoned = metrics.counter(
      'router_queue_abandoned_total',
      'Requests whose client left while they waited.',
      of,
    );
    metrics.onCollect(() => {
      pending.clear();
      pendingTokens.clear();
      for (const { modelName, classes } of queues()) {
        for (const { policy, size, rawIslTokens } of classes) {
          pending.labels(modelName, policy.name).set(size);
          pendingTokens.labels(modelName, policy.name).set(rawIslTokens);
        }
      }
    });
  }

  dispatched(modelName: string, { policy }: ClassQueue, waitedMs: number, tokens: number): void {
    this.#admitted.labels(modelName, policy.name).add();
    this.#admittedTokens.labels(modelName, policy.name).add(tokens);
    this.#wait.labels(modelName, policy.name).observe(waitedMs / 1000);
  }

  text(): string {
    return this.#metrics.text();
  }
}
