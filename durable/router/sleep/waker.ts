/**
 * Asks the planner for a worker as long as requests wait for one: once for however many. It asks again while they wait, because
 * a planner may have restarted, and looks what has become of the order. When that failed, or nobody may act, everybody
 * who waits is told why; the next attempt has to wait, twice as long each time until one succeeds.
 */

import type { Host } from '../../platform/host.ts';
import { toStatorError } from '../../runtime/errors.ts';
import { LIMITS } from '../../runtime/limits.ts';

/** What is used of `PlannerRpc`. */
export interface PlannerDoor {
  wake(): Promise<{ waking: boolean; why: string }>;
  status(): Promise<{ order: { order: { id: number }; outcome: string; why: string } | null }>;
}

export interface WakerOptions {
  planner(): PlannerDoor;
  host: Host;
  /** Somebody waits. */
  isWanted(): boolean;
  turnAway(why: string, restMs: number): void;
}

export class Waker {
  readonly #options: WakerOptions;
  #busy = false;
  #failures = 0;

  constructor(options: WakerOptions) {
    this.#options = options;
  }

  /** Somebody waits for a worker. Costs nothing while the planner knows already. */
  call(): void {
    if (this.#busy) return;
    this.#busy = true;
    void this.#ask().finally(() => {
      this.#busy = false;
    });
  }

  /** A worker serves. */
  succeeded(): void {
    this.#failures = 0;
  }

  async #ask(): Promise<void> {
    const { isWanted, host, planner, turnAway } = this.#options;
    /** The last order that had come to nothing before anything was asked of the planner. */
    let failedBefore = -1;
    try {
      const { order } = await planner().status();
      if (order?.outcome === 'failed') failedBefore = order.order.id;
      while (isWanted()) {
        const { waking, why } = await planner().wake();
        if (!waking) return turnAway(why, this.#restMs());
        await new Promise<void>((resolve) => host.after(LIMITS.wakeLookMs, resolve));
        const { order: now } = await planner().status();
        if (now?.outcome === 'failed' && now.order.id > failedBefore) {
          return turnAway(now.why, this.#restMs());
        }
      }
    } catch (thrown) {
      turnAway(`the planner does not answer: ${toStatorError(thrown).message}`, this.#restMs());
    }
  }

  #restMs(): number {
    const restMs = LIMITS.wakeRestMs * 2 ** Math.min(this.#failures, 10);
    this.#failures++;
    return Math.min(restMs, LIMITS.wakeLongRestMs);
  }
}
