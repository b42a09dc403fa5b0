/**
 * What a planner must know of a namespace: what came, how long it waited, what its answers were, how many workers there were.
 * Counted where the router hears of it anyway; on the way of `route` it is two additions. Published in `/metrics` as
 * `demand_*`, so that a planner can read the same from a Prometheus server.
 *
 * Passes of engines are only kept for a planner that looks at them. Workers do not report passes: a first token stands for one
 * with its prompt, an answer for one of its steps, with the times that the router's own model of the engines learns from.
 */

import type { EnginePass, EngineReading, Metrics as Reading } from '../planner/metrics.ts';
import { LIMITS } from '../runtime/limits.ts';
import { type Histogram, Metrics } from '../runtime/metrics.ts';
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
  readonly #passes: Map<Rank, EnginePass[]> | null;
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

  /** The engine of a rank took this long for a prompt. */
  prompt(rank: Rank, prefillTokens: number, wallMs: number): void {
    if (this.#passes === null) return;
    const queuedTokens = Math.max(0, rank.prefillTokens - prefillTokens);
    this.#pass(rank, { prefillTokens, decodeKvTokens: decodeKvTokens(rank), queuedTokens, wallMs });
  }

  /** The engine of a rank took so many steps in this time. */
  steps(rank: Rank, steps: number, ms: number): void {
    if (this.#passes === null || steps < 1 || !(ms > 0)) return;
    const wallMs = ms / steps;
    this.#pass(rank, { prefillTokens: 0, decodeKvTokens: decodeKvTokens(rank), queuedTokens: 0, wallMs });
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

  #pass(rank: Rank, pass: EnginePass): void {
    const kept = this.#passes!.get(rank) ?? [];
    if (kept.length >= LIMITS.plannerKeptPasses) kept.shift();
    kept.push(pass);
    this.#passes!.set(rank, kept);
  }

  #engines(workers: Workers, passes: Map<Rank, EnginePass[]>): Reading['engines'] {
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
          decodeKvTokens: decodeKvTokens(rank),
          maxKvTokens: totalKvBlocks * rank.worker.model.blockSizeTokens,
          passes: passes.get(rank) ?? [],
        });
      }
    }
    passes.clear();
    return engines;
  }
}

/** Of the requests in flight there. */
const decodeKvTokens = ({ worker, slot }: Rank): number =>
  worker.model.inFlight.active(slot) * worker.model.blockSizeTokens;

function cumulative({ bounds, counts, sum }: Histogram, unit: number): Reading['ttftMs'] {
  return { bounds: bounds.map((bound) => bound * unit), counts: [...counts], sum: sum * unit };
}
