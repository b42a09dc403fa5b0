/**
 * The order of things in virtual time. At one moment: what ends has ended and its events are known, prompts move on, then
 * requests arrive and are routed, then idle workers begin.
 *
 * The steps are a generator: it yields the time wherever a router that is more than a function call needs to be waited for.
 */

import { StatorError } from '../../durable/runtime/errors.ts';
import { Handoffs } from './handoffs.ts';
import type { Plan } from './plan.ts';
import type { Pool } from './pool.ts';
import { promptsOf } from './prompts.ts';
import type { Recorder } from './recorder.ts';

/** Requests between two calls of `progress`. */
const PROGRESS_EVERY = 256;

/** Changes the fleet while requests flow: looked at in every step, before requests arrive. */
export interface Pilot {
  /** When it wants to be looked at next; it does not keep a simulation going that has nothing else to do. */
  readonly dueMs: number;
  advance(nowMs: number): void;
}

export interface SimulationParts {
  plan: Plan;
  /** As in the plan. */
  pools: readonly Pool[];
  recorder: Recorder;
  /** Hears now and then how many requests have arrived. */
  progress: (arrived: number) => void;
  pilot?: Pilot;
}

export function* steps(parts: SimulationParts): Generator<number, void, void> {
  const { plan, pools, pilot } = parts;
  const decode = pools[1];
  const handoffs = decode === undefined ? null : new Handoffs(decode, plan.handoffMsPerToken);
  const arrivals = new Arrivals(parts, handoffs);
  for (;;) {
    let nowMs = Math.min(arrivals.dueMs, handoffs?.dueMs ?? Number.POSITIVE_INFINITY);
    for (const pool of pools) nowMs = Math.min(nowMs, pool.dueMs);
    if (nowMs === Number.POSITIVE_INFINITY) break;
    if (pilot !== undefined) nowMs = Math.min(nowMs, pilot.dueMs);
    yield nowMs;
    for (const pool of pools) pool.complete(nowMs);
    yield nowMs;
    if (handoffs?.advance(nowMs)) yield nowMs;
    pilot?.advance(nowMs);
    if (arrivals.advance(nowMs)) yield nowMs;
    for (const pool of pools) pool.drive(nowMs);
  }
  checkAllAnswered(parts);
}

/** Nothing moves any more. In pools with too few blocks prompts can hold the room that each other needs, on both sides. */
function checkAllAnswered({ recorder, plan }: SimulationParts): void {
  const { unanswered } = recorder;
  if (unanswered === 0) return;
  throw new StatorError(
    'invalid_request',
    `blocks: ${plan.engine.totalBlocks} are too few: ${unanswered} requests wait for room that others of them hold`,
    { param: 'blocks' },
  );
}

/** The requests of the trace, each at its time. */
class Arrivals {
  readonly #parts: SimulationParts;
  readonly #handoffs: Handoffs | null;
  #next = 0;

  constructor(parts: SimulationParts, handoffs: Handoffs | null) {
    this.#parts = parts;
    this.#handoffs = handoffs;
  }

  get dueMs(): number {
    const { trace, speedup } = this.#parts.plan;
    const next = trace.requests[this.#next];
    return next === undefined ? Number.POSITIVE_INFINITY : next.atMs / speedup;
  }

  /** True when there were any. */
  advance(nowMs: number): boolean {
    const before = this.#next;
    while (this.dueMs <= nowMs) this.#arrive(this.#next++, nowMs);
    return this.#next > before;
  }

  #arrive(at: number, nowMs: number): void {
    const { plan, pools, recorder, progress } = this.#parts;
    if (at % PROGRESS_EVERY === 0) progress(at);
    const traced = plan.trace.requests[at]!;
    const listener = recorder.listener(at);
    if (!fits(traced.inputTokens, plan.engine)) {
      listener.rejected();
      return;
    }
    const prompt = promptsOf(plan.trace, plan.engine.blockSizeTokens)[at]!;
    const request = { traced, prompt, maxTokens: traced.outputTokens };
    if (this.#handoffs === null) pools[0]!.submit(request, listener, nowMs);
    else pools[0]!.submit(...this.#handoffs.prefill(request, listener), nowMs);
  }
}

/** A prompt that no worker can ever hold is rejected when it comes. */
function fits(
  inputTokens: number,
  { totalBlocks, blockSizeTokens, contextLengthTokens }: Plan['engine'],
): boolean {
  return Math.ceil(inputTokens / blockSizeTokens) <= totalBlocks && inputTokens < contextLengthTokens;
}
