/**
 * Time as an argument: cores take a Clock, so that tests and the simulator own it.
 *
 * In workerd the wall clock stands still while JavaScript runs and moves with I/O, so it measures waits, not
 * computation.
 */
export interface Clock {
  /** Unix milliseconds. */
  nowMs(): number;
}

export const wallClock: Clock = { nowMs: () => Date.now() };

/** For differences: milliseconds since some moment, with fractions, never back. */
export const stopwatch: Clock = { nowMs: () => performance.now() };

/** A clock that only its owner moves. */
export class ManualClock implements Clock {
  #nowMs: number;

  constructor(startMs = 0) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  advance(deltaMs: number): void {
    this.#nowMs += deltaMs;
  }
}
