/**
 * Log probabilities of a row of logits: log-softmax of what the model said, before anybody changed it.
 *
 * Cost: two passes over the logits, and a sorted list of at most 20 beside the first.
 */

import { LEAST_LOGPROB, type TokenLogprobs } from '../engine.ts';

export interface LogprobSpread {
  /** Of one token, with the likeliest ones beside it. */
  of(id: number): TokenLogprobs;
}

/** Takes what it needs from the row at once, but for the logits, which it copies. */
export function logprobSpread(logits: Float32Array, topCount: number): LogprobSpread {
  const raw = logits.slice();
  const best = likeliest(raw, Math.max(1, topCount));
  const most = raw[best[0]!]!;
  let total = 0;
  for (let id = 0; id < raw.length; id++) total += Math.exp(raw[id]! - most);
  const norm = most + Math.log(total);
  const logprob = (id: number): number => Math.max(raw[id]! - norm, LEAST_LOGPROB);
  const top = best.slice(0, topCount).map((id) => [id, logprob(id)] as const);
  return { of: (id) => ({ logprob: logprob(id), top }) };
}

/** The ids of the largest logits, falling; the lower id first among equals. */
function likeliest(logits: Float32Array, count: number): number[] {
  const ids: number[] = [];
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id]!;
    if (ids.length === count && logit <= logits[ids.at(-1)!]!) continue;
    let at = ids.length;
    while (at > 0 && logits[ids[at - 1]!]! < logit) at--;
    ids.splice(at, 0, id);
    if (ids.length > count) ids.pop();
  }
  return ids;
}
