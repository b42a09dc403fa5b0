/**
 * Tokens to text, one at a time, never splitting a character.
 *
 * Bytes that may still become a character wait for the next token; what is invalid becomes U+FFFD as soon as that is
 * certain, and at the latest at the end. Invariant: all pieces together equal the decoding of all bytes together.
 * Cost: an array read for whole-character tokens, a copy of a few bytes for the others.
 */

import type { TokenTexts } from './token-texts.ts';
import { decodeUtf8, incompleteTailBytes } from './utf8.ts';

const NOTHING = new Uint8Array(0);

export class Detokeniser {
  readonly #texts: TokenTexts;
  #held: Uint8Array = NOTHING;

  constructor(texts: TokenTexts) {
    this.#texts = texts;
  }

  /** The text that became certain with this token; empty while a character is incomplete. */
  push(id: number): string {
    if (this.#held.length === 0) {
      const text = this.#texts.text(id);
      if (text !== null) return text;
    }
    return this.#pushBytes(this.#texts.bytes(id));
  }

  /** What was held back, as U+FFFD. */
  flush(): string {
    const text = decodeUtf8(this.#held);
    this.#held = NOTHING;
    return text;
  }

  #pushBytes(bytes: Uint8Array): string {
    const all = new Uint8Array(this.#held.length + bytes.length);
    all.set(this.#held);
    all.set(bytes, this.#held.length);
    const certain = all.length - incompleteTailBytes(all);
    this.#held = certain === all.length ? NOTHING : all.subarray(certain);
    return decodeUtf8(all.subarray(0, certain));
  }
}

/** A whole sequence at once (the prompt, for `echo`). */
export function detokenise(texts: TokenTexts, ids: Uint32Array): string {
  const detokeniser = new Detokeniser(texts);
  let text = '';
  for (let i = 0; i < ids.length; i++) text += detokeniser.push(ids[i]!);
  return text + detokeniser.flush();
}
