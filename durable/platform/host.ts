/** What surrounds an object besides its bindings: time, timers, chance. Given, so that the simulator owns them. */

import type { Clock } from '../runtime/clock.ts';

export interface Host extends Clock {
  /** Runs a task once after a delay; it ends with the object. */
  after(delayMs: number, task: () => void): void;
  /** Uniform in [0, 1). */
  random(): number;
}

/** The machine's own clock, timers and chance. */
export const realHost: Host = {
  nowMs: () => Date.now(),
  after: (delayMs, task) => {
    setTimeout(task, delayMs);
  },
  random: Math.random,
};
