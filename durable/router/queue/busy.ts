/**
 * When a request has to wait: by the thresholds of its class all workers that may serve it are busy (semantics §1.7), or, with
 * a hold, the prompts ahead of it would take too long.
 */

import { prefillTokensAt } from '../prefill-load.ts';
import { isOverdue, prefillWaitMs } from '../prefill-wait.ts';
import type { Rank } from '../workers.ts';
import type { PolicyClass } from './policy-profile.ts';

/** A place in the queue costs about a millisecond: with prompts that take less than this, waiting for the best worker gains nothing. */
const WORTH_WAITING_MS = 5;

/** A limit of 0: the class takes a free worker or nothing. */
export const neverWaits = ({ limits }: PolicyClass) => Object.values(limits).includes(0);

/** By thresholds or by its wait. Strictly above the threshold, so 0 means busy with any prompt token still to compute. */
function isBusy(rank: Rank, policy: PolicyClass, nowMs: number): boolean {
  if (rank.prefillTokens === 0) return false;
  const { busyTokens, busyFraction } = policy;
  const prefillTokens = prefillTokensAt(rank, nowMs);
  return (
    (busyTokens !== null && prefillTokens > busyTokens) ||
    (busyFraction !== null && prefillTokens > busyFraction * rank.worker.registration.maxNumBatchedTokens) ||
    waits(rank, policy, nowMs)
  );
}

/**
 * Would a request wait there longer than the hold of its class allows? Where nobody can say, because no engine has told of a
 * prompt yet or this one is overdue, it waits there and not here.
 */
export function waits(rank: Rank, { busyWaitMs }: PolicyClass, nowMs: number): boolean {
  const { timing } = rank;
  if (busyWaitMs === null || !timing.isLearnt || timing.promptMs <= WORTH_WAITING_MS) return false;
  return prefillWaitMs(rank, nowMs) > busyWaitMs && !isOverdue(rank, nowMs);
}

/** Nobody there: not busy. */
export function allBusy(ranks: readonly Rank[], policy: PolicyClass, nowMs: number): boolean {
  return ranks.length > 0 && ranks.every((rank) => isBusy(rank, policy, nowMs));
}
