/** Mean length of a model's answers in tokens, newer ones counting more: what a request is expected to decode. */

const FIRST_GUESS_TOKENS = 200;
/** Weight of the newest answer, once there are enough. */
const NEWEST = 0.02;

export class AnswerLength {
  #meanTokens = FIRST_GUESS_TOKENS;
  #seen = 0;

  get meanTokens(): number {
    return this.#meanTokens;
  }

  learn(tokens: number): void {
    this.#seen++;
    this.#meanTokens += (tokens - this.#meanTokens) * Math.max(1 / this.#seen, NEWEST);
  }
}
