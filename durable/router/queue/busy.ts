/** When a request has to wait (semantics §1.7): all workers that may serve it are busy, by the standards of its class. */

import type { Rank } from '../workers.ts';
import type { PolicyClass } from './policy-profile.ts';

/** A limit of 0: the class takes a free worker or nothing. */
export const neverWaits = ({ limits }: PolicyClass) => Object.values(limits).includes(0);

/** Strictly above the threshold, so 0 means busy with any prompt token still to compute. Nobody there: not busy. */
export function allBusy(
  ranks: readonly Rank[],
  { busyTokens, busyFraction }: PolicyClass,
  nowMs: number,
): boolean {
  if (busyTokens === null && busyFraction === null) return false;
  for (const { prefillLoad, prefillTokens: counted, worker } of ranks) {
    const prefillTokens = prefillLoad?.tokensAt(nowMs) ?? counted;
    const busy =
      (busyTokens !== null && prefillTokens > busyTokens) ||
      (busyFraction !== null && prefillTokens > busyFraction * worker.registration.maxNumBatchedTokens);
    if (!busy) return false;
  }
  return ranks.length > 0;
}
