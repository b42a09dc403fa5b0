/**
 * The order of things in virtual time. At one moment: what ends has ended and its events are known, then requests arrive
 * and are routed, then idle workers begin.
 */

import type { Plan } from './plan.ts';
import type { Pool } from './pool.ts';
import { promptsOf } from './prompts.ts';
import type { Recorder } from './recorder.ts';

/** Requests between two calls of `progress`. */
const PROGRESS_EVERY = 256;

export interface SimulationParts {
  plan: Plan;
  pool: Pool;
  recorder: Recorder;
  /** Hears now and then how many requests have arrived. */
  progress: (arrived: number) => void;
}

export function simulate({ plan, pool, recorder, progress }: SimulationParts): void {
  const { trace, speedup, engine } = plan;
  const { requests } = trace;
  const prompts = promptsOf(trace, engine.blockSizeTokens);
  let next = 0;
  const arrivalMs = () =>
    next < requests.length ? requests[next]!.atMs / speedup : Number.POSITIVE_INFINITY;
  const arrive = (nowMs: number) => {
    const at = next++;
    const traced = requests[at]!;
    if (at % PROGRESS_EVERY === 0) progress(at);
    if (!fits(traced.inputTokens, engine)) recorder.reject(at);
    else {
      const request = { traced, prompt: prompts[at]!, maxTokens: traced.outputTokens };
      pool.submit(request, recorder.listener(at), nowMs);
    }
  };
  for (;;) {
    const nowMs = Math.min(arrivalMs(), pool.dueMs);
    if (nowMs === Number.POSITIVE_INFINITY) break;
    pool.complete(nowMs);
    while (arrivalMs() <= nowMs) arrive(nowMs);
    pool.drive(nowMs);
  }
  progress(requests.length);
}

/** A prompt that no worker can ever hold is rejected when it comes. */
function fits(
  inputTokens: number,
  { totalBlocks, blockSizeTokens, contextLengthTokens }: Plan['engine'],
): boolean {
  return Math.ceil(inputTokens / blockSizeTokens) <= totalBlocks && inputTokens < contextLengthTokens;
}
