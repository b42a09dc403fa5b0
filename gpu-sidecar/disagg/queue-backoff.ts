/** Pauses between attempts to reach the platform: each twice as long as the one before, with chance in it, until one succeeds. */

import { LIMITS } from '../../durable/runtime/limits.ts';
import type { Timers } from '../timers.ts';

export class QueueBackoff {
  readonly #timers: Timers;
  readonly #random: () => number;
  #pauseMs: number = LIMITS.reconnectMinMs;

  constructor(timers: Timers, random: () => number) {
    this.#timers = timers;
    this.#random = random;
  }

  reset(): void {
    this.#pauseMs = LIMITS.reconnectMinMs;
  }

  pause(): Promise<void> {
    const pauseMs = this.#pauseMs * (0.5 + this.#random() / 2);
    this.#pauseMs = Math.min(this.#pauseMs * 2, LIMITS.reconnectMaxMs);
    return new Promise((resolve) => this.#timers.after(pauseMs, resolve));
  }
}
