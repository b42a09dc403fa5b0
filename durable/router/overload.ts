/**
 * Which workers are overloaded (semantics §1.8): a rank is, when any configured threshold is passed, a worker when all of
 * its ranks are. Independent of the queue. Thresholds are the configured ones until somebody changes those of a model.
 *
 * KV blocks are judged by the larger of what the router counts and what the worker says, so a worker counts as relieved
 * only when both do.
 */

import type { Clock } from '../runtime/clock.ts';
import { prefillTokensAt } from './prefill-load.ts';
import type { BusyThresholds } from './rpc.ts';
import type { Model, Rank, Worker } from './workers.ts';

export class Overload {
  readonly #configured: BusyThresholds;
  readonly #clock: Clock;
  /** By model name; the models of a namespace are bounded. */
  readonly #changed = new Map<string, BusyThresholds>();

  constructor(configured: BusyThresholds, clock: Clock) {
    this.#configured = configured;
    this.#clock = clock;
  }

  thresholds(model: string): BusyThresholds {
    return this.#changed.get(model) ?? this.#configured;
  }

  change(model: string, change: Partial<BusyThresholds>): BusyThresholds {
    const thresholds = { ...this.thresholds(model), ...change };
    if (Object.keys(change).length > 0) this.#changed.set(model, thresholds);
    return thresholds;
  }

  /** Tells overloaded workers of a model apart; null where no threshold is set, so nothing is asked. */
  judge(model: Model): ((worker: Worker) => boolean) | null {
    const thresholds = this.thresholds(model.name);
    const { activeDecodeBlocks, activePrefillTokens, activePrefillTokensFrac } = thresholds;
    if (activeDecodeBlocks === null && activePrefillTokens === null && activePrefillTokensFrac === null) {
      return null;
    }
    const nowMs = this.#clock.nowMs();
    return (worker) => worker.ranks.every((rank) => isBusy(rank, thresholds, nowMs));
  }
}

function isBusy(rank: Rank, thresholds: BusyThresholds, nowMs: number): boolean {
  const { activeDecodeBlocks, activePrefillTokens, activePrefillTokensFrac } = thresholds;
  const { registration, model } = rank.worker;
  if (activeDecodeBlocks !== null && registration.totalKvBlocks > 0) {
    const used = Math.max(model.inFlight.active(rank.slot), rank.kvUsedBlocks);
    if (used > activeDecodeBlocks * registration.totalKvBlocks) return true;
  }
  const prefillTokens = prefillTokensAt(rank, nowMs);
  if (activePrefillTokens !== null && prefillTokens > activePrefillTokens) return true;
  return (
    activePrefillTokensFrac !== null &&
    prefillTokens > activePrefillTokensFrac * registration.maxNumBatchedTokens
  );
}
