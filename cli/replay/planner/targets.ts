/** Which requests of a replay were answered as promised: TTFT and mean ITL both within their targets. */

import type { Plan } from '../plan.ts';
import type { Recorder } from '../recorder.ts';

export interface Targets {
  ttftMs: number;
  itlMs: number;
}

/** By place in the trace: 1 = met. What was rejected, was not met. */
export function metRequests(plan: Plan, recorder: Recorder, { ttftMs, itlMs }: Targets): Uint8Array {
  return Uint8Array.from(plan.trace.requests, ({ atMs }, at) => {
    if (recorder.rejected[at] === 1) return 0;
    const firstMs = recorder.firstTokenMs[at]!;
    if (firstMs - atMs / plan.speedup > ttftMs) return 0;
    return meanItlMs(recorder, at) > itlMs ? 0 : 1;
  });
}

/** Milliseconds between two tokens of an ended answer; 0 where it has only one. */
export function meanItlMs({ endMs, firstTokenMs, outputTokens }: Recorder, at: number): number {
  const gaps = outputTokens[at]! - 1;
  return gaps <= 0 ? 0 : (endMs[at]! - firstTokenMs[at]!) / gaps;
}

export function attainmentOf(met: Uint8Array): number {
  let count = 0;
  for (const each of met) count += each;
  return met.length === 0 ? 1 : count / met.length;
}
