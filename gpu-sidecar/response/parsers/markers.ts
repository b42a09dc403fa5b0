/**
 * Finds the first of a few fixed strings in text that comes in pieces. A tail that may be the beginning of one is held
 * back, so where text was cut decides nothing. No marker is a prefix of another. Cost: linear, one pass over the text.
 */

import type { AnswerEnd } from '../answer.ts';

export class Markers {
  readonly #markers: readonly string[];
  readonly #firstCodes: readonly number[];
  readonly #firstChar: string | null;
  /** The marker at the place that `find` returned; null: only text up to there is certain. */
  found: string | null = null;

  constructor(markers: readonly string[]) {
    this.#markers = [...new Set(markers)];
    const first = [...new Set(this.#markers.map((marker) => marker[0]!))];
    this.#firstCodes = first.map((char) => char.charCodeAt(0));
    this.#firstChar = first.length === 1 ? first[0]! : null;
  }

  /** Where certain text ends: at a marker (`found`), at what may become one, or at the end of the text. */
  find(text: string, from: number): number {
    this.found = null;
    for (let at = this.#candidate(text, from); at < text.length; at = this.#candidate(text, at + 1)) {
      for (const marker of this.#markers) {
        const same = samePrefix(text, at, marker);
        if (same === marker.length) {
          this.found = marker;
          return at;
        }
        if (at + same === text.length) return at;
      }
    }
    return text.length;
  }

  #candidate(text: string, from: number): number {
    if (this.#firstChar !== null) {
      const at = text.indexOf(this.#firstChar, from);
      return at === -1 ? text.length : at;
    }
    const codes = this.#firstCodes;
    for (let at = from; at < text.length; at++) {
      if (codes.includes(text.charCodeAt(at))) return at;
    }
    return text.length;
  }
}

/**
 * Whether held text at the end of an answer is the beginning of markup that the token limit cut off. An answer that
 * ended by itself meant it as text, and so is a single character.
 */
export function isCutMarkup(held: string, reason: AnswerEnd): boolean {
  return reason === 'length' && held.length > 1;
}

function samePrefix(text: string, at: number, marker: string): number {
  let same = 0;
  while (same < marker.length && text.charCodeAt(at + same) === marker.charCodeAt(same)) same++;
  return same;
}
