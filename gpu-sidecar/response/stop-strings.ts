/**
 * Stop strings over text that arrives in pieces: the text before the match is the answer.
 *
 * Text that may be the beginning of a stop string is held back until that is decided. The match that is complete first
 * wins, and of several complete at the same character the longest, so that the answer does not depend on how the
 * text was cut into tokens. One Knuth-Morris-Pratt automaton a string: cost is strings × characters, whatever the text.
 */

interface Pattern {
  text: string;
  /** border[n]: longest proper prefix of the first n characters that is also their suffix. */
  border: Uint16Array;
  /** How many characters of the pattern the text ends with. */
  matched: number;
}

export class StopStrings {
  readonly #patterns: Pattern[];
  #held = '';
  #found: string | null = null;

  /** `stops`: none of them empty. */
  constructor(stops: readonly string[]) {
    this.#patterns = stops.map((text) => ({ text, border: borders(text), matched: 0 }));
  }

  /** The stop string that has been seen: nothing more belongs to the answer. */
  get found(): string | null {
    return this.#found;
  }

  /** The part of the answer that is certain now. */
  push(piece: string): string {
    if (this.#patterns.length === 0) return piece;
    const text = this.#held + piece;
    for (let at = this.#held.length; at < text.length; at++) {
      const found = this.#advance(text.charCodeAt(at));
      if (found === null) continue;
      this.#found = found;
      this.#held = '';
      return text.slice(0, at + 1 - found.length);
    }
    const certain = text.length - this.#longestPrefix();
    this.#held = text.slice(certain);
    return text.slice(0, certain);
  }

  /** The text goes by unchecked (before `min_tokens`); what was held back comes first. */
  pass(piece: string): string {
    for (const pattern of this.#patterns) pattern.matched = 0;
    return this.flush() + piece;
  }

  /** The end: a partial match was none. */
  flush(): string {
    const text = this.#held;
    this.#held = '';
    return text;
  }

  /** Takes one UTF-16 unit; the longest stop string that is complete with it. */
  #advance(unit: number): string | null {
    let longest: string | null = null;
    for (const pattern of this.#patterns) {
      let matched = pattern.matched;
      while (matched > 0 && pattern.text.charCodeAt(matched) !== unit) matched = pattern.border[matched]!;
      if (pattern.text.charCodeAt(matched) === unit) matched++;
      pattern.matched = matched;
      if (matched === pattern.text.length && matched > (longest?.length ?? 0)) longest = pattern.text;
    }
    return longest;
  }

  #longestPrefix(): number {
    let longest = 0;
    for (const { matched } of this.#patterns) if (matched > longest) longest = matched;
    return longest;
  }
}

function borders(text: string): Uint16Array {
  const border = new Uint16Array(text.length + 1);
  let length = 0;
  for (let i = 1; i < text.length; i++) {
    while (length > 0 && text[i] !== text[length]) length = border[length]!;
    if (text[i] === text[length]) length++;
    border[i + 1] = length;
  }
  return border;
}
