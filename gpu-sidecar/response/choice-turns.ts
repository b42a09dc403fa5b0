/**
 * Several answers in one response (`n`): they take turns, one token each, in the order of their index, and who ended
 * has no turn any more. So one flat list of token ids says what every answer has, and the response stays a fold over
 * it: another worker continues all of them from the ids of the events alone.
 *
 * An answer that the engine ended is a marker in that list. One that ended at a stop string needs none: the fold
 * sees that itself.
 */

import type { AnswerEnd } from './answer.ts';

const MARKERS: Readonly<Record<AnswerEnd, number>> = { stop: 0xffff_fffe, length: 0xffff_ffff };

export const markerOf = (end: AnswerEnd): number => MARKERS[end];

/** What a marker says; null when the id is a token. */
export function endOfMarker(id: number): AnswerEnd | null {
  if (id < MARKERS.stop) return null;
  return id === MARKERS.stop ? 'stop' : 'length';
}

export class ChoiceTurns {
  /** Choices that have not ended, in order. */
  readonly #open: number[];
  readonly #tokens: number[][];
  #at = 0;

  constructor(choices: number) {
    this.#open = Array.from({ length: choices }, (_, choice) => choice);
    this.#tokens = this.#open.map(() => []);
  }

  /** Whose token comes next; -1 when all have ended. */
  get turn(): number {
    return this.#open[this.#at] ?? -1;
  }

  get open(): readonly number[] {
    return this.#open;
  }

  tokensOf(choice: number): readonly number[] {
    return this.#tokens[choice]!;
  }

  /** The choice whose turn it is got a token and goes on. */
  took(id: number): void {
    this.#tokens[this.turn]!.push(id);
    this.#at = (this.#at + 1) % this.#open.length;
  }

  /** The choice whose turn it is has ended. */
  ended(): void {
    this.#open.splice(this.#at, 1);
    if (this.#at === this.#open.length) this.#at = 0;
  }
}
