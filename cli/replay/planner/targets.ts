/** Which requests of a replay were answered as promised: TTFT and mean ITL both within their targets. */

import type { Plan } from '../plan.ts';
import type { Recorder } from '../recorder.ts';

export interface Targets {
  ttftMs: number;
  itlMs: number;
}

/** Bits of `missedTargets`. */
export const MISSED = { ttft: 1, itl: 2 } as const;

/** By place in the trace: 0 = both met. What was rejected, missed both. */
export function missedTargets(plan: Plan, recorder: Recorder, { ttftMs, itlMs }: Targets): Uint8Array {
  return Uint8Array.from(plan.trace.requests, ({ atMs }, at) => {
    if (recorder.rejected[at] === 1) return MISSED.ttft | MISSED.itl;
    const isLate = recorder.firstTokenMs[at]! - atMs / plan.speedup > ttftMs;
    const isSlow = meanItlMs(recorder, at) > itlMs;
    return (isLate ? MISSED.ttft : 0) | (isSlow ? MISSED.itl : 0);
  });
}

/** Milliseconds between two tokens of an ended answer; 0 where it has only one. */
export function meanItlMs({ endMs, firstTokenMs, outputTokens }: Recorder, at: number): number {
  const gaps = outputTokens[at]! - 1;
  return gaps <= 0 ? 0 : (endMs[at]! - firstTokenMs[at]!) / gaps;
}

/** Of what `missedTargets` says: the share that missed nothing. */
export function attainmentOf(missed: Uint8Array): number {
  let met = 0;
  for (const each of missed) if (each === 0) met++;
  return missed.length === 0 ? 1 : met / missed.length;
}
