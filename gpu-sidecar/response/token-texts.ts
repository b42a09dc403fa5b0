/**
 * The text of each token of a vocabulary, decoded once.
 *
 * Most tokens are whole characters, so detokenising one is an array read. Those that end inside a character are
 * `null` here: only the bytes of their neighbours complete them (`detokenise.ts`). At most one string a token.
 */

import type { Vocabulary } from '../engines/engine.ts';
import { decodeUtf8, incompleteTailBytes } from './utf8.ts';

export class TokenTexts {
  readonly #vocabulary: Vocabulary;
  readonly #texts: (string | null | undefined)[];

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
    this.#texts = [];
  }

  /** The token's text, or null when it ends inside a character. */
  text(id: number): string | null {
    const known = this.#texts[id];
    return known === undefined ? this.#decode(id) : known;
  }

  bytes(id: number): Uint8Array {
    return this.#vocabulary.tokenBytes(id);
  }

  #decode(id: number): string | null {
    const bytes = this.#vocabulary.tokenBytes(id);
    const text = incompleteTailBytes(bytes) === 0 ? decodeUtf8(bytes) : null;
    this.#texts[id] = text;
    return text;
  }
}

const TABLES = new WeakMap<Vocabulary, TokenTexts>();

/** One table per vocabulary, shared by all responses. */
export function tokenTexts(vocabulary: Vocabulary): TokenTexts {
  let table = TABLES.get(vocabulary);
  if (table === undefined) {
    table = new TokenTexts(vocabulary);
    TABLES.set(vocabulary, table);
  }
  return table;
}
