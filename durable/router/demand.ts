/**
 * What a planner must know of a namespace: what came, how long it waited, what its answers were, how many workers there were.
 * Counted where the router hears of it anyway; on the way of `route` it is two additions. Published in `/metrics` as
 * `demand_*`, so that a planner can read the same from a Prometheus server.
 *
 * Passes of engines come with the load reports of their workers, and only where a planner looks at them. What an engine does not
 * say of its memory is what the requests in flight there may hold.
 */

import type { EngineReading, Metrics as Reading } from '../planner/metrics.ts';
import { LIMITS } from '../runtime/limits.ts';
import { type Histogram, Metrics } from '../runtime/metrics.ts';
import { type EnginePass, PassSample } from '../runtime/pass-sample.ts';
import type { Rank, Workers } from './workers.ts';
import { takesRequests } from './workers.ts';

/** Four bounds to each doubling. */
const bounds = (from: number, doublings: number): number[] =>
  Array.from({ length: 4 * doublings + 1 }, (_, i) => from * 2 ** (i / 4));
const TOKENS = bounds(32, 12);
const SECONDS = bounds(0.001, 17);

export class DemandMeter {
  readonly #registry: Metrics;
  readonly #arrived;
  readonly #inputTokens;
  readonly #computedTokens: Histogram;
  readonly #ttft: Histogram;
  readonly #outputTokens: Histogram;
  readonly #itl: Histogram;
  readonly #workerSeconds;
  readonly #waiting;
  readonly #inFlight;
  /** By rank, since the last reading; null: nobody looks at them. */
  readonly #passes: Map<Rank, PassSample> | null;
  /** Workers that take requests, and since when. */
  #serving = { count: 0, sinceMs: 0 };

  constructor(options: { prefix: string; namespace: string; passes: boolean }) {
    const registry = new Metrics({ prefix: options.prefix, labels: { namespace: options.namespace } });
    const histogram = (name: string, help: string, of: readonly number[]) =>
      registry.histogram(name, help, of).labels();
    this.#registry = registry;
    this.#passes = options.passes ? new Map() : null;
    this.#arrived = registry.counter('demand_requests_total', 'Requests that came.').labels();
    this.#inputTokens = registry.counter('demand_input_tokens_total', 'Tokens of their prompts.').labels();
    this.#workerSeconds = registry
      .counter('demand_worker_seconds_total', 'Time of workers that take requests.')
      .labels();
    this.#waiting = registry.gauge('demand_waiting_requests', 'Requests without a first token.').labels();
    this.#inFlight = registry.gauge('demand_inflight_requests', 'Requests without an end.').labels();
    this.#computedTokens = histogram('demand_computed_tokens', 'Prompt tokens that were not cached.', TOKENS);
    this.#ttft = histogram(
      'demand_time_to_first_token_seconds',
      'From arrival at the router to the first token.',
      SECONDS,
    );
    this.#outputTokens = histogram('demand_output_tokens', 'Tokens of answers.', [1, ...TOKENS]);
    this.#itl = histogram('demand_inter_token_latency_seconds', 'Mean of an answer.', SECONDS);
  }

  arrived(promptTokens: number): void {
    this.#arrived.value++;
    this.#inputTokens.value += promptTokens;
  }

  firstToken(afterMs: number, computedTokens: number): void {
    this.#ttft.observe(Math.max(0, afterMs) / 1000);
    this.#computedTokens.observe(Math.max(0, computedTokens));
  }

  /** An answer of so many tokens, the first one apart in so many milliseconds. */
  answered(outputTokens: number, restMs: number): void {
    this.#outputTokens.observe(outputTokens);
    if (outputTokens > 1 && restMs > 0) this.#itl.observe(restMs / 1000 / (outputTokens - 1));
  }

  /** The engine of a rank did these. */
  passed(rank: Rank, passes: readonly EnginePass[]): void {
    if (this.#passes === null || passes.length === 0) return;
    let kept = this.#passes.get(rank);
    if (kept === undefined) {
      kept = new PassSample(LIMITS.plannerKeptPasses);
      this.#passes.set(rank, kept);
    }
    for (const pass of passes) kept.add(pass);
  }

  /** Workers came, went or stayed until now. */
  served(workers: Workers, nowMs: number): void {
    const { count, sinceMs } = this.#serving;
    this.#workerSeconds.add((count * Math.max(0, nowMs - sinceMs)) / 1000);
    let serving = 0;
    for (const worker of workers) if (worker.phase === 'serving' && takesRequests(worker)) serving++;
    this.#serving = { count: serving, sinceMs: nowMs };
  }

  /** Everything so far. Passes are told once. */
  read(
    workers: Workers,
    { nowMs, waiting, inFlight }: { nowMs: number; waiting: number; inFlight: number },
  ): Reading {
    this.served(workers, nowMs);
    return {
      atMs: nowMs,
      arrived: this.#arrived.value,
      inputTokens: this.#inputTokens.value,
      workerMs: 1000 * this.#workerSeconds.value,
      waiting,
      inFlight,
      computedTokens: cumulative(this.#computedTokens, 1),
      ttftMs: cumulative(this.#ttft, 1000),
      outputTokens: cumulative(this.#outputTokens, 1),
      itlMs: cumulative(this.#itl, 1000),
      engines: this.#passes === null ? {} : this.#engines(workers, this.#passes),
    };
  }

  /** Prometheus text. */
  text(
    workers: Workers,
    { nowMs, waiting, inFlight }: { nowMs: number; waiting: number; inFlight: number },
  ): string {
    this.served(workers, nowMs);
    this.#waiting.set(waiting);
    this.#inFlight.set(inFlight);
    return this.#registry.text();
  }

  /** Passes of ranks that have left are forgotten. */
  #engines(workers: Workers, passes: Map<Rank, PassSample>): Reading['engines'] {
    const engines: Record<'worker' | 'prefill' | 'decode', EngineReading[]> = {
      worker: [],
      prefill: [],
      decode: [],
    };
    for (const { registration, ranks, phase, instanceId } of workers) {
      const { workerType, totalKvBlocks } = registration;
      if (phase !== 'serving' || workerType === 'encode') continue;
      for (const rank of ranks) {
        engines[workerType === 'aggregated' ? 'worker' : workerType].push({
          id: `${instanceId}/${rank.dpRank}`,
          decodeKvTokens: rank.decodeKvTokens ?? inFlightTokens(rank),
          maxKvTokens: totalKvBlocks * rank.worker.model.blockSizeTokens,
          passes: passes.get(rank)?.take() ?? [],
        });
      }
    }
    passes.clear();
    return engines;
  }
}

const inFlightTokens = ({ worker, slot }: Rank): number =>
  worker.model.inFlight.active(slot) * worker.model.blockSizeTokens;

function cumulative({ bounds, counts, sum }: Histogram, unit: number): Reading['ttftMs'] {
  return { bounds: bounds.map((bound) => bound * unit), counts: [...counts], sum: sum * unit };
}
