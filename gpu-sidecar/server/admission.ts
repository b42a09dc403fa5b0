/**
 * How many responses are open at once, and who they are. A place is taken before the engine hears of a request and
 * given back when its connection is done with it, so that readers who stall are counted too.
 *
 * An array with swapped removal and not a Set: a Set that many objects pass through keeps dead ones alive from old space
 * (its outgrown tables point to their successors), which made each young collection ten times as long.
 */

export interface OpenResponse {
  /** Where it is in the admission's list; -1 = nowhere. Only the admission writes it. */
  place: number;
  /** Ends the response without its proper end: the caller sees a lost worker. */
  cut(): void;
}

export class Admission {
  readonly #open: OpenResponse[] = [];
  readonly #limit: number;
  #idle: (() => void)[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  get open(): number {
    return this.#open.length;
  }

  /** False when all places are taken. */
  enter(response: OpenResponse): boolean {
    if (this.#open.length >= this.#limit) return false;
    response.place = this.#open.push(response) - 1;
    return true;
  }

  /** Idempotent. */
  leave(response: OpenResponse): void {
    const { place } = response;
    if (place < 0) return;
    response.place = -1;
    const last = this.#open.pop()!;
    if (last !== response) {
      this.#open[place] = last;
      last.place = place;
    }
    if (this.#open.length > 0) return;
    const waiting = this.#idle;
    this.#idle = [];
    for (const resolve of waiting) resolve();
  }

  /** Resolves when no response is open. */
  idle(): Promise<void> {
    if (this.#open.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  cutAll(): void {
    for (const response of [...this.#open]) response.cut();
  }
}
