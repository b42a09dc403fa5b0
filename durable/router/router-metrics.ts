/**
 * What a Router object counts. Names are Dynamo's where the meaning is equal (semantics §11). Children that the route path
 * touches are resolved once per model; loads are looked up when somebody asks.
 */

import { type Counter, type Histogram, Metrics } from '../runtime/metrics.ts';
import type { Model, Workers } from './workers.ts';

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const SHARES = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99, 1];

export interface ModelMetrics {
  requests: Counter;
  kvHitRate: Histogram;
  timeToFirstToken: Histogram;
  cachedTokens: Counter;
}

export class RouterMetrics {
  readonly #metrics: Metrics;
  readonly #byModel = new Map<string, ModelMetrics>();
  readonly #families;
  readonly refusals;
  readonly prefills;
  readonly kvEvents;
  readonly kvStreams;
  readonly snapshots;
  readonly eventPlane;
  readonly frames: Counter;
  readonly rejectedFrames;
  readonly ended;
  readonly expired: Counter;
  readonly stale: Counter;
  readonly ignoredProgress: Counter;

  constructor(options: { prefix: string; workers: Workers; inFlight: () => number }) {
    const metrics = new Metrics({ prefix: options.prefix });
    this.#metrics = metrics;
    this.#families = {
      requests: metrics.counter('router_requests_total', 'Requests given to a worker.', ['model']),
      kvHitRate: metrics.histogram(
        'router_kv_hit_rate',
        'Share of the prompt blocks that the chosen worker has.',
        SHARES,
        ['model'],
      ),
      timeToFirstToken: metrics.histogram(
        'router_time_to_first_token_seconds',
        'From acceptance by the worker to its first token.',
        SECONDS,
        ['model'],
      ),
      cachedTokens: metrics.counter(
        'router_cached_tokens_total',
        'Prompt tokens that workers found in their cache.',
        ['model'],
      ),
    };
    this.refusals = metrics.counter('router_refusals_total', 'Requests that no worker was given.', ['code']);
    this.prefills = metrics.counter(
      'router_prefills_total',
      'Prompts where there are prefill workers: remote, or why the request computes its own.',
      ['model', 'where'],
    );
    this.kvEvents = metrics.counter('kv_cache_events_applied', 'KV events by what became of them.', [
      'event_type',
      'status',
    ]);
    this.kvStreams = metrics.counter('kv_cache_recovery_total', 'Gaps found and how they were handled.', [
      'what',
    ]);
    this.snapshots = metrics.counter('kv_snapshots_total', 'Snapshots of ranks by what became of them.', [
      'what',
    ]);
    this.eventPlane = metrics.counter(
      'event_plane_total',
      'Messages of the event plane, and its connection, by what became of them.',
      ['what'],
    );
    this.frames = metrics.counter('fleet_batches_total', 'Batches that workers sent.').labels();
    this.rejectedFrames = metrics.counter('fleet_rejected_total', 'Connections refused or ended.', ['code']);
    this.ended = metrics.counter('router_requests_ended_total', 'Requests that ended.', ['finish_reason']);
    const counter = (name: string, help: string) => metrics.counter(name, help).labels();
    this.expired = counter('router_reservations_expired_total', 'Reservations that no worker accepted.');
    this.stale = counter('router_stale_requests_total', 'Requests that their worker forgot.');
    this.ignoredProgress = counter('router_progress_ignored_total', 'Reports on requests that ended before.');
    this.#collect(options);
  }

  model(model: Model): ModelMetrics {
    const known = this.#byModel.get(model.name);
    if (known) return known;
    const { requests, kvHitRate, timeToFirstToken, cachedTokens } = this.#families;
    const resolved = {
      requests: requests.labels(model.name),
      kvHitRate: kvHitRate.labels(model.name),
      timeToFirstToken: timeToFirstToken.labels(model.name),
      cachedTokens: cachedTokens.labels(model.name),
    };
    this.#byModel.set(model.name, resolved);
    return resolved;
  }

  text(): string {
    return this.#metrics.text();
  }

  #collect({ workers, inFlight }: { workers: Workers; inFlight: () => number }): void {
    const metrics = this.#metrics;
    const of = ['model', 'worker_id', 'dp_rank'];
    const inFlightGauge = metrics.gauge('router_inflight_requests', 'Requests in flight.').labels();
    const phases = metrics.gauge('router_workers', 'Workers by phase.', ['phase']);
    const blocks = metrics.gauge('router_index_blocks', 'Blocks in the index.', ['model']);
    const bytes = metrics.gauge('router_index_bytes', 'Memory of the index.', ['model']);
    const routed = metrics.gauge('router_routed_blocks', 'Blocks guessed to be cached.', ['model']);
    const decode = metrics.gauge('worker_active_decode_blocks', 'KV blocks of running requests.', of);
    const prefill = metrics.gauge('worker_active_prefill_tokens', 'Prompt tokens still to compute.', of);
    const active = metrics.gauge('worker_active_requests', 'Requests in flight on the worker.', of);
    const used = metrics.gauge('worker_kv_used_blocks', 'KV blocks in use, as the worker says.', of);
    metrics.onCollect(() => {
      inFlightGauge.set(inFlight());
      for (const family of [phases, blocks, bytes, routed, decode, prefill, active, used]) family.clear();
      for (const model of workers.models()) {
        blocks.labels(model.name).set(model.index.blocks);
        bytes.labels(model.name).set(model.index.bytes);
        if (model.routed) routed.labels(model.name).set(model.routed.size);
      }
      for (const { phase, ranks, model, instanceId } of workers) {
        phases.labels(phase).add(1);
        for (const rank of ranks) {
          const labels = [model.name, instanceId, String(rank.dpRank)];
          decode.labels(...labels).set(model.inFlight.active(rank.slot));
          prefill.labels(...labels).set(rank.prefillTokens);
          active.labels(...labels).set(rank.activeRequests);
          used.labels(...labels).set(rank.kvUsedBlocks);
        }
      }
    });
  }
}
