/** When a request has to wait (semantics §1.7): all workers that may serve it are busy, by the standards of its class. */

import { prefillTokensAt } from '../prefill-load.ts';
import { prefillWaitMs } from '../prefill-wait.ts';
import type { Rank } from '../workers.ts';
import type { PolicyClass } from './policy-profile.ts';

/** A place in the queue costs about a millisecond: with prompts that take less than this, waiting for the best worker gains nothing. */
const WORTH_WAITING_MS = 5;

/** A limit of 0: the class takes a free worker or nothing. */
export const neverWaits = ({ limits }: PolicyClass) => Object.values(limits).includes(0);

/** Strictly above the threshold, so 0 means busy with any prompt token still to compute. Nobody there: not busy. */
export function allBusy(
  ranks: readonly Rank[],
  { busyTokens, busyFraction, busyWaitMs }: PolicyClass,
  nowMs: number,
): boolean {
  for (const rank of ranks) {
    const { worker, timing } = rank;
    if (rank.prefillTokens === 0) return false;
    const prefillTokens = prefillTokensAt(rank, nowMs);
    const busy =
      (busyTokens !== null && prefillTokens > busyTokens) ||
      (busyFraction !== null && prefillTokens > busyFraction * worker.registration.maxNumBatchedTokens) ||
      (busyWaitMs !== null && timing.promptMs > WORTH_WAITING_MS && prefillWaitMs(rank, nowMs) > busyWaitMs);
    if (!busy) return false;
  }
  return ranks.length > 0;
}
