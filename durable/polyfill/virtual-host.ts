/**
 * Time that only its owner moves, with timers on it, and chance from a seed: what the simulator and the tests give to
 * objects. `advance` runs what is due in order of time, and lets promises settle between two timers.
 */

import type { Host } from '../platform/host.ts';

interface Timer {
  dueMs: number;
  task: () => void;
}

export class VirtualHost implements Host {
  #nowMs: number;
  #state: number;
  readonly #timers = new Set<Timer>();

  constructor(options: { startMs?: number; seed?: number } = {}) {
    this.#nowMs = options.startMs ?? 0;
    this.#state = options.seed ?? 1;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, task: () => void): void {
    this.#timers.add({ dueMs: this.#nowMs + Math.max(0, delayMs), task });
  }

  /** mulberry32 */
  random(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** Timers that have not run. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Moves time and runs what falls due. */
  async advance(deltaMs: number): Promise<void> {
    const untilMs = this.#nowMs + deltaMs;
    await settled();
    for (let timer = this.#next(untilMs); timer; timer = this.#next(untilMs)) {
      this.#timers.delete(timer);
      this.#nowMs = Math.max(this.#nowMs, timer.dueMs);
      timer.task();
      await settled();
    }
    this.#nowMs = untilMs;
  }

  #next(untilMs: number): Timer | null {
    let first: Timer | null = null;
    for (const timer of this.#timers) {
      if (timer.dueMs <= untilMs && (first === null || timer.dueMs < first.dueMs)) first = timer;
    }
    return first;
  }
}

/** All promises that need no more than other promises have settled. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
