/**
 * How long a request of queue policy `aged` lets shorter ones pass it: those that come up to twice its own computing time
 * after it go first, later ones do not. That is nearly the mean wait of shortest-first, and nobody starves.
 *
 * The few prompts that are very long decide the 99th percentile, and making them wait gains the mean next to nothing: who
 * takes more than five times the mean is as impatient as a mean one (docs/decisions/0006).
 */

const PASSED_PER_PREFILL = 2;
const VERY_LONG = 5;
/** Weight of the newest, once there are enough. */
const NEWEST = 0.01;

export class Patience {
  #meanMs = 0;
  #seen = 0;

  /** Of a request whose prompt takes so long to compute; learns the mean from it. */
  of(prefillMs: number): number {
    this.#seen++;
    this.#meanMs += (prefillMs - this.#meanMs) * Math.max(1 / this.#seen, NEWEST);
    const veryLong = prefillMs > VERY_LONG * this.#meanMs;
    return PASSED_PER_PREFILL * (veryLong ? this.#meanMs : prefillMs);
  }
}
