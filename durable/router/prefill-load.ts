/**
 * Prefill load of one rank that shrinks with time (setting `router_prefill_load_model`, semantics §1.5): the rank computes
 * its prompts in order, so the time since the oldest one was begun is worth so many tokens of the sum. When one of the
 * prompts has no expected duration, only the oldest is taken as partly done.
 *
 * Invariant: the sum is that of the prompts here. Exact values come by reports of first tokens; this is what lies between.
 */

/** P(w) at a time: what the rank has to compute, less what has gone by where that is modelled. */
export function prefillTokensAt(
  { prefillLoad, prefillTokens }: { prefillLoad: PrefillLoad | null; prefillTokens: number },
  nowMs: number,
): number {
  return prefillLoad === null ? prefillTokens : prefillLoad.tokensAt(nowMs);
}

interface Prefill {
  tokens: number;
  /** null: nobody knows. */
  expectedMs: number | null;
}

export class PrefillLoad {
  /** By reservation, oldest first. */
  readonly #prefills = new Map<number, Prefill>();
  #sum = 0;
  #unknown = 0;
  /** When the oldest was begun. */
  #begunMs = 0;

  get isEmpty(): boolean {
    return this.#prefills.size === 0;
  }

  add(reservation: number, prefill: Prefill, nowMs: number): void {
    if (this.#prefills.size === 0) this.#begunMs = nowMs;
    this.#prefills.set(reservation, prefill);
    this.#sum += prefill.tokens;
    if (prefill.expectedMs === null) this.#unknown++;
  }

  remove(reservation: number, nowMs: number): void {
    const prefill = this.#prefills.get(reservation);
    if (!prefill) return;
    const wasOldest = this.#oldest() === prefill;
    this.#prefills.delete(reservation);
    this.#sum -= prefill.tokens;
    if (prefill.expectedMs === null) this.#unknown--;
    if (wasOldest) this.#begunMs = nowMs;
    // The time went into the one that is done already.
    else if (prefill.expectedMs !== null) {
      this.#begunMs = Math.min(this.#begunMs + prefill.expectedMs, nowMs);
    }
  }

  /** Tokens left at a time. */
  tokensAt(nowMs: number): number {
    const oldest = this.#oldest();
    if (oldest === undefined) return 0;
    const { tokens, expectedMs } = oldest;
    if (expectedMs === null) return this.#sum;
    const share = expectedMs === 0 ? 1 : (nowMs - this.#begunMs) / expectedMs;
    if (this.#unknown === 0) return Math.max(this.#sum - Math.floor(tokens * Math.max(share, 0)), 0);
    return this.#sum - tokens + Math.ceil(tokens * Math.min(Math.max(1 - share, 0), 1));
  }

  #oldest(): Prefill | undefined {
    return this.#prefills.values().next().value;
  }
}
