/**
 * How long the workers of a model take for a prompt, learnt from their first tokens: a line (fixed time + time per token)
 * through what was seen, older samples counting less. Only prompts that had their worker's prefill to themselves teach,
 * because the others waited too. Cost: a handful of operations a request.
 */

import { DecayedLine } from './decayed-line.ts';

const FORGETTING = 0.98;
/** Fewer samples say nothing. */
const SAMPLES = 8;

export class PrefillSpeed {
  /** Tokens to milliseconds. */
  readonly #line = new DecayedLine(FORGETTING);
  #seen = 0;

  learn(tokens: number, ms: number): void {
    if (!(tokens > 0 && ms > 0)) return;
    this.#seen++;
    this.#line.add(tokens, ms);
  }

  /** Expected milliseconds; null until enough was seen. */
  expectedMs(tokens: number): number | null {
    if (this.#seen < SAMPLES) return null;
    const { meanX, meanY, variance, covariance } = this.#line;
    // All of one length, or longer ones faster: then what a token took on average.
    if (variance <= 1e-9 * meanX * meanX || covariance <= 0) return (meanY / meanX) * tokens;
    const perToken = covariance / variance;
    return Math.max(meanY + perToken * (tokens - meanX), 0);
  }
}
