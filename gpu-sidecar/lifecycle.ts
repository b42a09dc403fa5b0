/**
 * The life of a sidecar is one value that only moves forward.
 *
 *     starting    the engine loads, the listeners open, the router has not answered yet
 *     registered  the router knows this worker
 *     serving     it takes requests from the router
 *     draining    no new requests; the running ones finish
 *     gone        everything is closed
 */

export const PHASES = ['starting', 'registered', 'serving', 'draining', 'gone'] as const;
export type LifecyclePhase = (typeof PHASES)[number];

export class Lifecycle {
  readonly #changed: (phase: LifecyclePhase) => void;
  #phase: LifecyclePhase = 'starting';

  /** `changed` hears of every new phase, once. */
  constructor(changed: (phase: LifecyclePhase) => void = () => {}) {
    this.#changed = changed;
  }

  get phase(): LifecyclePhase {
    return this.#phase;
  }

  /** New requests are welcome. A direct caller may come before the router has answered. */
  get open(): boolean {
    return this.#phase !== 'draining' && this.#phase !== 'gone';
  }

  /** Moves on; going back, or staying, does nothing. Returns whether the phase changed. */
  advance(to: LifecyclePhase): boolean {
    if (PHASES.indexOf(to) <= PHASES.indexOf(this.#phase)) return false;
    this.#phase = to;
    this.#changed(to);
    return true;
  }
}
