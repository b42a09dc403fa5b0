/** A chain of timers in which an object looks after what it holds, and which rests while there is nothing to look after. */

import type { Host } from './host.ts';

export class Sweep {
  readonly #host: Host;
  readonly #everyMs: number;
  readonly #turn: (nowMs: number) => boolean;
  #running = false;

  /** `turn` says whether there is to be another. */
  constructor(host: Host, everyMs: number, turn: (nowMs: number) => boolean) {
    this.#host = host;
    this.#everyMs = everyMs;
    this.#turn = turn;
  }

  /** Does nothing while it runs. */
  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#next();
  }

  #next(): void {
    this.#host.after(this.#everyMs, () => {
      this.#running = this.#turn(this.#host.nowMs());
      if (this.#running) this.#next();
    });
  }
}
