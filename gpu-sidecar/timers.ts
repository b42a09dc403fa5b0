/**
 * Waiting as an argument, beside `durable/runtime/clock.ts` for reading time: tests run it by hand.
 */

export interface Timers {
  /** Runs once after `delayMs`; the result takes it back. */
  after(delayMs: number, run: () => void): () => void;
  /** Runs when the current turn of the event loop has taken what it got. */
  endOfTurn(run: () => void): void;
}

export const systemTimers: Timers = {
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
  endOfTurn(run) {
    if (turn.push(run) === 1) setImmediate(finishTurn);
  },
};

/**
 * What is due at the end of this turn: one immediate for all of it. Two lists that take turns and are emptied: V8 puts
 * arrays of such a place into old space, where a forgotten one keeps all that it lists from the young collections.
 */
let turn: (() => void)[] = [];
let spare: (() => void)[] = [];

function finishTurn(): void {
  const due = turn;
  turn = spare;
  spare = due;
  for (const run of due) run();
  due.length = 0;
}
