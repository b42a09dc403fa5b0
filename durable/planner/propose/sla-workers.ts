/**
 * SLA mode for workers that do all (semantics §8.3 gives the frame: demand over what one worker can take under the SLA).
 *
 * What one worker can take is found, not tabled: the smallest fleet that loses at most `lossShare` of the requests to
 * waiting and to slow tokens, of those that an endless fleet would keep. A prompt too long for the TTFT even alone is lost
 * in any fleet and buys no worker.
 */

import type { Profile } from '../profile.ts';
import { type Calibration, computedShare, slowPerWaitMs, waitFactor } from './calibration.ts';
import { type Demand, hold, type Proposal, type Targets } from './proposal.ts';
import { type ServiceTimes, serviceTimes } from './service-times.ts';
import { formulaWait, missedByWaiting } from './waiting.ts';

export interface SlaWorkersParts {
  demand: Demand;
  calibration: Calibration | null;
  profile: Profile;
  targets: Targets;
  /** Of the requests. */
  lossShare: number;
  /** More is never proposed. */
  max: number;
  corrected: boolean;
}

export function proposeWorkers(parts: SlaWorkersParts): Proposal {
  const { demand, calibration, profile, max } = parts;
  if (demand.requestsPerMs <= 0) return { kind: 'counts', counts: { worker: 0 }, because: 'no demand' };
  if (calibration === null) return hold('no traffic measured yet');
  const computed = demand.inputTokens * computedShare(calibration);
  const times = serviceTimes(calibration.computedTokens, profile, computed);
  if (times === null) return hold('no prompt measured yet');
  for (let workers = 1; workers < max; workers++) {
    const loss = lossOf(workers, times, parts);
    if (loss <= parts.lossShare) return counted(workers, loss, parts);
  }
  return counted(max, lossOf(max, times, parts), parts);
}

/** Share of the requests that so many workers lose and endlessly many would keep. */
function lossOf(
  workers: number,
  times: ServiceTimes,
  { demand, calibration, profile, targets, corrected }: SlaWorkersParts,
): number {
  const perWorker = demand.requestsPerMs / workers;
  const formula = formulaWait(times, perWorker);
  if (formula.meanMs === Number.POSITIVE_INFINITY) return 1;
  if (decodeItlMs(perWorker, demand, profile) > targets.itlMs) return 1;
  const factor = corrected ? waitFactor(calibration!) : 1;
  const slow = corrected ? slowPerWaitMs(calibration!) * formula.meanMs : 0;
  const waiting = { busy: formula.busy, meanMs: factor * formula.meanMs };
  return Math.min(1, missedByWaiting(times, waiting, targets.ttftMs) + slow);
}

const ROUNDS = 8;

/** Tokens come slower with more requests at once, and slower tokens keep requests longer: the point where both agree. */
function decodeItlMs(perWorker: number, { inputTokens, outputTokens }: Demand, profile: Profile): number {
  const context = inputTokens + outputTokens / 2;
  let itlMs = profile.itlMs(1, context);
  for (let round = 0; round < ROUNDS; round++) {
    itlMs = profile.itlMs(Math.max(1, perWorker * outputTokens * itlMs), context);
  }
  return itlMs;
}

function counted(workers: number, loss: number, { demand, calibration }: SlaWorkersParts): Proposal {
  const rate = (1000 * demand.requestsPerMs).toFixed(2);
  const because =
    `${rate} requests/s of ${demand.inputTokens.toFixed(0)} tokens, ${computedShare(calibration!).toFixed(2)} of them computed, ` +
    `waits ${waitFactor(calibration!).toFixed(2)} times the formula's: ${workers} workers lose ${(100 * loss).toFixed(2)} %`;
  return { kind: 'counts', counts: { worker: workers }, because };
}
