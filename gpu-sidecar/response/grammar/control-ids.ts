/**
 * Markup that a vocabulary has as control tokens: a grammar asks for these, since that is how the model learnt to write it, and text that
 * looks the same is not what it would say. The same tokens have a text for the parsers (`token-texts.ts`).
 *
 * The vocabulary is read once.
 */

import type { Vocabulary } from '../../engines/engine.ts';
import { markupOf } from '../parsers/markup.ts';
import type { ParserOptions } from '../parsers/parser.ts';
import type { ControlIds } from './lark.ts';

const known = new WeakMap<Vocabulary, ControlIds>();

/** Those that are, or are a piece of, what the parsers look for. What ends an answer is none: no grammar asks for it. */
export function controlIds(vocabulary: Vocabulary, parsing: ParserOptions): ControlIds {
  let all = known.get(vocabulary);
  if (all === undefined) {
    all = readControls(vocabulary);
    known.set(vocabulary, all);
  }
  const markup = markupOf(parsing);
  return new Map([...all].filter(([text]) => markup.some((marker) => marker.includes(text))));
}

function readControls(vocabulary: Vocabulary): ControlIds {
  const ids = new Map<string, number>();
  for (let id = 0; id < vocabulary.size; id++) {
    if (!vocabulary.isControl(id) || vocabulary.isEndOfGeneration(id)) continue;
    const text = vocabulary.controlText(id);
    if (text !== '') ids.set(text, id);
  }
  return ids;
}
