/**
 * The answer as a fold over token ids: text pieces, where it ends and why. Knows no dialect.
 *
 * Pure: the same facts, vocabulary and ids give the same pieces, so that another worker can rebuild the state of
 * a lost one from the ids alone (design §1.4).
 */

import { Detokeniser } from './detokenise.ts';
import { StopStrings } from './stop-strings.ts';
import type { TokenTexts } from './token-texts.ts';

/** Why an answer ended, in OpenAI's words. */
export type AnswerEnd = 'stop' | 'length';

export class Answer {
  readonly #detokeniser: Detokeniser;
  readonly #stops: StopStrings;
  readonly #minTokens: number;
  #tokens = 0;
  #end: AnswerEnd | null = null;

  /** Stop strings that begin before `minTokens` tokens are ordinary text. */
  constructor(texts: TokenTexts, options: { stop: readonly string[]; minTokens: number }) {
    this.#detokeniser = new Detokeniser(texts);
    this.#stops = new StopStrings(options.stop);
    this.#minTokens = options.minTokens;
  }

  /** Tokens folded, the one that completed a stop string included. */
  get tokens(): number {
    return this.#tokens;
  }

  /** Set once the answer is complete. */
  get ended(): AnswerEnd | null {
    return this.#end;
  }

  /** The stop string that ended the answer; null: none did. */
  get stopString(): string | null {
    return this.#stops.found;
  }

  /** The text that became certain; may be empty. Not to be called after the end. */
  push(id: number): string {
    this.#tokens++;
    const piece = this.#detokeniser.push(id);
    if (this.#tokens < this.#minTokens) return this.#stops.pass(piece);
    const text = this.#stops.push(piece);
    if (this.#stops.found !== null) this.#end = 'stop';
    return text;
  }

  /** The engine is done: whatever was held back is text. A stop string in the last bytes still counts. */
  finish(reason: AnswerEnd): string {
    const text = this.#stops.push(this.#detokeniser.flush());
    this.#end = this.#stops.found !== null ? 'stop' : reason;
    return text + this.#stops.flush();
  }
}
