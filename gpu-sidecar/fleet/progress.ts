/**
 * What became of the requests that a router reserved, waiting to be told. One entry a reservation: the latest phase
 * implies the earlier ones. Entries belong to one boot of the router; another boot knows nothing of them.
 */

import type { FinishReason } from '../engines/engine.ts';

export interface RequestProgress {
  reservation: number;
  routerBoot: number;
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
}

export interface ProgressReporter {
  report(progress: RequestProgress): void;
}

export class ProgressBook implements ProgressReporter {
  readonly #limit: number;
  readonly #changed: () => void;
  #boot: number | null = null;
  #waiting = new Map<number, RequestProgress>();

  /** `limit`: entries kept while nobody takes them; past it the oldest go (the router forgets them by itself). */
  constructor(limit: number, changed: () => void) {
    this.#limit = limit;
    this.#changed = changed;
  }

  get size(): number {
    return this.#waiting.size;
  }

  report(progress: RequestProgress): void {
    if (progress.routerBoot !== this.#boot) return;
    if (this.#waiting.size >= this.#limit && !this.#waiting.has(progress.reservation)) {
      const [oldest] = this.#waiting.keys();
      this.#waiting.delete(oldest!);
    }
    this.#waiting.set(progress.reservation, progress);
    this.#changed();
  }

  /** The router that answers now. */
  boot(routerBoot: number): void {
    if (routerBoot === this.#boot) return;
    this.#boot = routerBoot;
    this.#waiting.clear();
  }

  /** Everything that waits. */
  take(): RequestProgress[] {
    const entries = [...this.#waiting.values()];
    this.#waiting.clear();
    return entries;
  }
}
