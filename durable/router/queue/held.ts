/**
 * Which of those who wait may go now. With thresholds all workers of a lane are busy or none is waited for. With a hold
 * (`router_queue_wait_ms`) a request is bound late: while the worker that it would get is busy it stays, and others that want
 * another one pass it. A worker that has most of its prompt is worth waiting for, and until that one is free it may turn out
 * that another is better. That ends: who has waited many times what its prompt takes is bound to the best as they are then,
 * so that those who want one worker's cache fill it and then the others' (docs/decisions/0006).
 *
 * Judging costs a decision, so one is judged anew only when its worker is free or some time has passed.
 */

import { LIMITS } from '../../runtime/limits.ts';
import { type Choice, prefillRank } from '../modes/mode.ts';
import type { RouteRefusal, RouteRequest } from '../rpc.ts';
import type { Model, Rank } from '../workers.ts';
import { allBusy, waits } from './busy.ts';
import type { Readiness } from './class-queue.ts';
import type { QueueEntry } from './entry.ts';
import type { PolicyClass } from './policy-profile.ts';

/** Times its patience (patience.ts): as long as that it stays with the worker that it wants. */
const LOYALTY = 2;

interface HeldOptions {
  model(name: string): Model | undefined;
  eligible(model: Model, request: RouteRequest): readonly Rank[];
  choose(model: Model, request: RouteRequest, nowMs: number): Choice | RouteRefusal;
}

export class Held implements Readiness {
  readonly #options: HeldOptions;
  /** Of the calls that follow. */
  nowMs = 0;

  constructor(options: HeldOptions) {
    this.#options = options;
  }

  /** Also when nobody could serve it any more: then the decision says why. */
  laneIsOpen({ modelName, request }: QueueEntry, policy: PolicyClass): boolean {
    const model = this.#options.model(modelName);
    return model === undefined || !allBusy(this.#options.eligible(model, request), policy, this.nowMs);
  }

  canGo(entry: QueueEntry, policy: PolicyClass): boolean {
    if (policy.busyWaitMs === null) return true;
    const { nowMs } = this;
    if (nowMs - entry.enqueuedMs > LOYALTY * entry.patienceMs) return true;
    const { wanted, judgedMs } = entry;
    if (wanted !== null && nowMs - judgedMs < LIMITS.queueRejudgeMs && waits(wanted, policy, nowMs)) {
      return false;
    }
    const model = this.#options.model(entry.modelName);
    if (model === undefined) return true;
    const choice = this.#options.choose(model, entry.request, nowMs);
    if ('kind' in choice || !waits(prefillRank(choice), policy, nowMs)) return true;
    entry.wanted = prefillRank(choice);
    entry.judgedMs = nowMs;
    return false;
  }
}
