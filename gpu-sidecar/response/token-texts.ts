/**
 * The text of each token of a vocabulary, decoded once. Control tokens have none, except those that a parser reads: models
 * whose markup are tokens of their own (gpt-oss, Mistral, Kimi K2, …) would otherwise lose it before it is looked for.
 *
 * Most tokens are whole characters, so detokenising one is an array read. Those that end inside a character are
 * `null` here: only the bytes of their neighbours complete them (`detokenise.ts`). At most one string a token.
 */

import type { Vocabulary } from '../engines/engine.ts';
import { markupOf } from './parsers/markup.ts';
import type { ParserOptions } from './parsers/parser.ts';
import { decodeUtf8, incompleteTailBytes } from './utf8.ts';

export class TokenTexts {
  readonly #vocabulary: Vocabulary;
  readonly #texts: (string | null | undefined)[] = [];
  readonly #markup: readonly string[];

  /** `markup`: control tokens that are, or are a piece of, one of these have their text. */
  constructor(vocabulary: Vocabulary, markup: readonly string[]) {
    this.#vocabulary = vocabulary;
    this.#markup = markup;
  }

  /** The token's text, or null when it ends inside a character. */
  text(id: number): string | null {
    const known = this.#texts[id];
    return known === undefined ? this.#decode(id) : known;
  }

  bytes(id: number): Uint8Array {
    return this.#vocabulary.isControl(id) ? this.#control(id) : this.#vocabulary.tokenBytes(id);
  }

  #control(id: number): Uint8Array {
    const text = this.#vocabulary.controlText(id);
    const isMarkup = text !== '' && this.#markup.some((marker) => marker.includes(text));
    return isMarkup ? new TextEncoder().encode(text) : NOTHING;
  }

  #decode(id: number): string | null {
    const bytes = this.bytes(id);
    const text = incompleteTailBytes(bytes) === 0 ? decodeUtf8(bytes) : null;
    this.#texts[id] = text;
    return text;
  }
}

const NOTHING = new Uint8Array(0);

const TABLES = new WeakMap<Vocabulary, Map<string, TokenTexts>>();

/** One table per vocabulary and way of reading (`parsing`; null: all text is content), shared by all responses. */
export function tokenTexts(vocabulary: Vocabulary, parsing: ParserOptions | null): TokenTexts {
  let tables = TABLES.get(vocabulary);
  if (tables === undefined) {
    tables = new Map();
    TABLES.set(vocabulary, tables);
  }
  const markup = parsing === null ? [] : markupOf(parsing);
  const key = markup.join('\n');
  let table = tables.get(key);
  if (table === undefined) {
    table = new TokenTexts(vocabulary, markup);
    tables.set(key, table);
  }
  return table;
}
