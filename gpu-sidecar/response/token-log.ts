/**
 * The log probabilities of an answer on their way out: each token with where its text begins.
 *
 * Offsets count characters (code points), as OpenAI's do, and follow from the ids alone, so that a worker that
 * continues an answer counts on.
 */

import type { TokenLogprobs } from '../engines/engine.ts';
import type { TokenTexts } from './token-texts.ts';

export interface LoggedToken {
  id: number;
  /** Characters before its text. */
  offset: number;
  logprobs: TokenLogprobs;
}

export class TokenLog {
  readonly #texts: TokenTexts;
  #offset = 0;
  #tokens: LoggedToken[] = [];

  constructor(texts: TokenTexts) {
    this.#texts = texts;
  }

  /** `logprobs` is missing for tokens of an earlier worker, whose events are out already. */
  add(id: number, logprobs: TokenLogprobs | undefined): void {
    if (logprobs !== undefined) this.#tokens.push({ id, offset: this.#offset, logprobs });
    for (const byte of this.#texts.bytes(id)) if ((byte & 0xc0) !== 0x80) this.#offset++;
  }

  /** Those since the last call. */
  take(): readonly LoggedToken[] {
    const tokens = this.#tokens;
    this.#tokens = [];
    return tokens;
  }

  /** As many as there are; they stay. */
  get all(): readonly LoggedToken[] {
    return this.#tokens;
  }

  /** The last one was a stop string's and not the answer's. */
  drop(): void {
    this.#tokens.pop();
  }
}
