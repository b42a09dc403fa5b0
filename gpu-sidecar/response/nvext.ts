/**
 * What an answer says in `nvext` when the request asked for it (`extra_fields`), in Dynamo's words: who computed it, and how
 * long its phases took, counted from the request's arrival at the platform.
 *
 * The worker is the one that began the response, so that one that continues says the same. Times are measured and so differ from worker
 * to worker: they come last, and of a response that another worker began those of its beginning are left out. Two are ours: the
 * worker's own time to the first token, without the platform's part, and the steady time between two tokens.
 */

import type { Clock } from '../../durable/runtime/clock.ts';
import { TokenPace } from './token-pace.ts';
import type { Usage } from './usage.ts';

/** Another worker that computed the prompt. */
interface PrefilledBy {
  id: string;
  dpRank: number;
}

export interface NvextOptions {
  /** null: not asked for. */
  worker: { id: string; dpRank: number; prefilledBy: PrefilledBy | null } | null;
  /** When the platform got the request (Unix milliseconds), and how long ago that was; null: not asked for. */
  timing: { requestReceivedMs: number; elapsedMs: number } | null;
  continued: boolean;
}

export class NvextAnswer {
  readonly #options: NvextOptions;
  readonly #clock: Clock;
  readonly #acceptedMs: number;
  #startedMs: number | null = null;
  #firstTokenMs: number | null = null;
  readonly #pace = new TokenPace();

  constructor(options: NvextOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
    this.#acceptedMs = clock.nowMs();
  }

  /** Another worker has computed the prompt of a response that begins here. */
  prefilledBy(peer: PrefilledBy): void {
    const { worker, continued } = this.#options;
    if (worker !== null && !continued) worker.prefilledBy = peer;
  }

  /** The engine has begun with the prompt. */
  started(): void {
    this.#startedMs ??= this.#clock.nowMs();
  }

  token(): void {
    if (this.#options.timing === null) return;
    const nowMs = this.#clock.nowMs();
    this.#firstTokenMs ??= nowMs;
    this.#pace.token(nowMs);
  }

  /** A member to stand last in a JSON object, with the comma before it. */
  member({ cachedTokens, promptTokens }: Usage): string {
    const { worker, timing } = this.#options;
    const nvext: Record<string, unknown> = {};
    if (worker !== null) {
      const { id, dpRank, prefilledBy } = worker;
      nvext['worker_id'] = {
        prefill_worker_id: prefilledBy?.id ?? id,
        prefill_dp_rank: prefilledBy?.dpRank ?? dpRank,
        decode_worker_id: id,
        decode_dp_rank: dpRank,
      };
    }
    if (timing !== null) nvext['timing'] = this.#timing(timing, cachedTokens / promptTokens);
    return `,"nvext":${JSON.stringify(nvext)}`;
  }

  #timing({ requestReceivedMs, elapsedMs }: NonNullable<NvextOptions['timing']>, hitRate: number) {
    const since = (ms: number) => microseconds(elapsedMs + ms - this.#acceptedMs);
    const { steadyItlMs } = this.#pace;
    const [started, first] = [this.#startedMs, this.#firstTokenMs];
    const beginning =
      this.#options.continued || started === null || first === null
        ? {}
        : {
            prefill_wait_time_ms: since(started),
            prefill_time_ms: microseconds(first - started),
            ttft_ms: since(first),
            worker_ttft_ms: microseconds(first - this.#acceptedMs),
          };
    return {
      request_received_ms: requestReceivedMs,
      kv_hit_rate: Math.round(hitRate * 10_000) / 10_000,
      ...beginning,
      ...(steadyItlMs === null ? {} : { steady_itl_ms: microseconds(steadyItlMs) }),
      total_time_ms: since(this.#clock.nowMs()),
    };
  }
}

/** Milliseconds to three decimals. */
const microseconds = (ms: number): number => Math.round(1000 * ms) / 1000;
