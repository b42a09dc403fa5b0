/**
 * How long a prompt that comes now would wait on a rank before its own computation begins: the prompts ahead of it, less
 * what must be done of them already. Reports of first tokens put it right; in between, time counts for at most half, so
 * that a rank that is slower than believed never looks free.
 */

import type { Rank } from './workers.ts';

export function prefillWaitMs(rank: Rank, nowMs: number): number {
  const { prefillTokens, prefillSinceMs, timing, worker } = rank;
  if (prefillTokens <= 0) return 0;
  const aheadMs = timing.prefillMs(prefillTokens, worker.registration.maxNumBatchedTokens);
  return aheadMs - Math.min(Math.max(nowMs - prefillSinceMs, 0), aheadMs / 2);
}
