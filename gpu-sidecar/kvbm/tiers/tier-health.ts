/**
 * Whether a tier is asked at all. After a few faults in a row it rests (*degraded*), longer each time; then one operation is let
 * through, and if that goes well the tier is back. Pure: time is an argument.
 */

import type { Clock } from '../../../durable/runtime/clock.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';

export class TierHealth {
  readonly #clock: Clock;
  #faults = 0;
  #restMs = 0;
  #restsUntilMs = 0;
  #trying = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get degraded(): boolean {
    return this.#restMs > 0;
  }

  /** Whether an operation may begin; each that may must end in `succeeded` or `failed`. */
  begin(): boolean {
    if (!this.degraded) return true;
    if (this.#trying || this.#clock.nowMs() < this.#restsUntilMs) return false;
    this.#trying = true;
    return true;
  }

  succeeded(): void {
    this.#faults = 0;
    this.#restMs = 0;
    this.#trying = false;
  }

  failed(): void {
    // One of those that had begun before the rest.
    if (this.degraded && !this.#trying) return;
    this.#trying = false;
    if (++this.#faults < LIMITS.kvbmTierFaults) return;
    this.#restMs = Math.min(Math.max(2 * this.#restMs, LIMITS.kvbmTierRestMs), LIMITS.kvbmTierLongRestMs);
    this.#restsUntilMs = this.#clock.nowMs() + this.#restMs;
  }
}
