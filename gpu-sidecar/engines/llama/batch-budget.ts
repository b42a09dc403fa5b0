/**
 * How many tokens a batch may have so that it takes at most `SLICE_MS`: learnt from the batches before.
 * The time of a batch is taken as proportional to its tokens, which over-estimates small ones and so errs to the safe side
 * only as long as the estimate comes from full batches: small batches never raise it.
 */

/** A batch is the longest that an abort or an export waits. */
const SLICE_MS = 200;
const FIRST_TOKENS = 64;
/** Batches of fewer tokens say little about prefill. */
const TELLING_TOKENS = 32;
/** Room for prefill beside the decoding requests, whatever was measured. */
const LEAST_PREFILL_TOKENS = 16;

export class BatchBudget {
  #most: number;
  #msPerToken = SLICE_MS / FIRST_TOKENS;

  constructor(options: { most: number }) {
    this.#most = options.most;
  }

  /** Tokens for the next batch, with one for each of the `running` requests. */
  tokens(running: number): number {
    const fitting = Math.floor(SLICE_MS / this.#msPerToken);
    return Math.min(this.#most, Math.max(fitting, running + LEAST_PREFILL_TOKENS));
  }

  measured(tokens: number, ms: number): void {
    if (tokens < TELLING_TOKENS) return;
    const seen = ms / tokens;
    this.#msPerToken = seen > this.#msPerToken ? seen : (3 * this.#msPerToken + seen) / 4;
  }
}
