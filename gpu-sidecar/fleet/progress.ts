/**
 * What became of the requests that a router reserved, waiting to be told. A request has one record, which is changed in
 * place until it is told: the latest phase implies the earlier ones. Records belong to one boot of the router; another
 * boot knows nothing of them. No maps: many short-lived objects pass through here.
 */

import type { FinishReason } from '../engines/engine.ts';

export interface RequestProgress {
  readonly reservation: number;
  readonly routerBoot: number;
  phase: 'accepted' | 'first-token' | 'growth' | 'end';
  /** Tokens of the response so far. */
  outputTokens: number;
  cachedTokens: number;
  /** Milliseconds from acceptance; 0 before the first token. */
  ttftMs: number;
  /** Milliseconds from acceptance; 0 before the end. */
  totalMs: number;
  /** Empty before the end. */
  finishReason: FinishReason | '';
  /** Something of it is not told yet. Only the book writes it. */
  waiting: boolean;
}

export interface ProgressReporter {
  /** The record has changed. */
  report(progress: RequestProgress): void;
}

export class ProgressBook implements ProgressReporter {
  readonly #limit: number;
  readonly #changed: (idle: boolean) => void;
  #boot: number | null = null;
  /** Requests accepted and not ended, whatever router reserved them. */
  #open = 0;
  readonly #waiting: RequestProgress[] = [];

  /**
   * `limit`: records kept while nobody takes them; those past it are lost (the router forgets them by itself).
   * `changed`: something waits; `idle` when it is the end of the last request here.
   */
  constructor(limit: number, changed: (idle: boolean) => void) {
    this.#limit = limit;
    this.#changed = changed;
  }

  get size(): number {
    return this.#waiting.length;
  }

  report(progress: RequestProgress): void {
    if (progress.phase === 'accepted') this.#open++;
    else if (progress.phase === 'end') this.#open--;
    if (!progress.waiting) {
      if (progress.routerBoot !== this.#boot || this.#waiting.length >= this.#limit) return;
      progress.waiting = true;
      this.#waiting.push(progress);
    }
    this.#changed(this.#open === 0);
  }

  /** The router that answers now. */
  boot(routerBoot: number): void {
    if (routerBoot === this.#boot) return;
    this.#boot = routerBoot;
    this.take(() => null);
  }

  /** Everything that waits, made into something else; the list itself stays here and is emptied. */
  take<Told>(tell: (progress: RequestProgress) => Told): Told[] {
    const told = this.#waiting.map(tell);
    for (const progress of this.#waiting) progress.waiting = false;
    this.#waiting.length = 0;
    return told;
  }
}
