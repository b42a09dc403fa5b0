/** Time that only the test moves: a clock and timers in one. What is due runs in order of its time. */
import type { Clock } from '../../durable/runtime/clock.ts';
import type { Timers } from '../../gpu-sidecar/timers.ts';

export class ManualTime implements Clock, Timers {
  #nowMs: number;
  #due: { atMs: number; run: () => void }[] = [];
  #turn: (() => void)[] = [];

  constructor(startMs = 1_000) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, run: () => void): () => void {
    const entry = { atMs: this.#nowMs + delayMs, run };
    this.#due.push(entry);
    return () => {
      this.#due = this.#due.filter((other) => other !== entry);
    };
  }

  endOfTurn(run: () => void): void {
    this.#turn.push(run);
  }

  /** Ends the current turn of the event loop. */
  turn(): void {
    const turn = this.#turn;
    this.#turn = [];
    for (const run of turn) run();
  }

  /** Moves time; what becomes due runs at its own time, each in a turn of its own. */
  advance(deltaMs: number): void {
    const endMs = this.#nowMs + deltaMs;
    for (;;) {
      this.turn();
      const next = this.#due.filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      this.#due = this.#due.filter((entry) => entry !== next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.run();
    }
    this.#nowMs = endMs;
  }

  /** Timers that are set. */
  get waiting(): number {
    return this.#due.length;
  }
}
