/**
 * How long a prompt that comes now would wait on a rank before its own computation begins: the prompts ahead of it, less
 * what must be done of them already. Reports of first tokens put it right; in between, time counts for at most half, so
 * that a rank that is slower than believed never looks free.
 */

import type { Rank } from './workers.ts';

/** A worker that has told no first token for so much longer than its prompts should take is slow, or does not tell them. */
const SILENCE = { times: 3, moreMs: 1_000 };

/** Nobody can say how long it would be. */
export function isOverdue({ prefillTokens, prefillSinceMs, timing, worker }: Rank, nowMs: number): boolean {
  const aheadMs = timing.prefillMs(prefillTokens, worker.registration.maxNumBatchedTokens);
  return prefillTokens > 0 && nowMs - prefillSinceMs > SILENCE.times * aheadMs + SILENCE.moreMs;
}

export function prefillWaitMs(rank: Rank, nowMs: number): number {
  const { prefillTokens, prefillSinceMs, timing, worker } = rank;
  if (prefillTokens <= 0) return 0;
  const aheadMs = timing.prefillMs(prefillTokens, worker.registration.maxNumBatchedTokens);
  return aheadMs - Math.min(Math.max(nowMs - prefillSinceMs, 0), aheadMs / 2);
}
