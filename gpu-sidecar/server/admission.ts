/**
 * How many responses are open at once, and who they are. A place is taken before the engine hears of a request and
 * given back when its connection is done with it, so that readers who stall are counted too.
 */

export interface OpenResponse {
  /** Ends the response without its proper end: the caller sees a lost worker. */
  cut(): void;
}

export class Admission {
  readonly #open = new Set<OpenResponse>();
  readonly #limit: number;
  #idle: (() => void)[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  get open(): number {
    return this.#open.size;
  }

  /** False when all places are taken. */
  enter(response: OpenResponse): boolean {
    if (this.#open.size >= this.#limit) return false;
    this.#open.add(response);
    return true;
  }

  leave(response: OpenResponse): void {
    if (!this.#open.delete(response) || this.#open.size > 0) return;
    const waiting = this.#idle;
    this.#idle = [];
    for (const resolve of waiting) resolve();
  }

  /** Resolves when no response is open. */
  idle(): Promise<void> {
    if (this.#open.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  cutAll(): void {
    for (const response of [...this.#open]) response.cut();
  }
}
