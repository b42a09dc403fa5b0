/**
 * What the mock engine says under a grammar: its own word where that may come, else any that may. It ends as soon as it may and
 * closes strings, lists and objects often, so that its answers are whole and not only prefixes of whole ones.
 */

import { allowedAt, countAllowed, isAllowed } from '../constraint/constraint.ts';
import type { Vocabulary } from '../engine.ts';

export interface ObedientTokens {
  /** Ids that end a response. */
  ends: readonly number[];
  /** Ids of what closes something in JSON. */
  closing: readonly number[];
}

/** One token in so many closes what it can. */
const CLOSE_EVERY = 3;

export function obedientTokens(vocabulary: Vocabulary): ObedientTokens {
  const ends: number[] = [];
  const closing: number[] = [];
  for (let id = 0; id < vocabulary.size; id++) {
    if (vocabulary.isEndOfGeneration(id)) ends.push(id);
    else if (/^["\]}]$/.test(String.fromCharCode(...vocabulary.tokenBytes(id).subarray(0, 2))))
      closing.push(id);
  }
  return { ends, closing };
}

/** null: the response ends. `own` is what the engine would say. */
export function obedientId(
  allowed: Uint32Array,
  { ends, closing }: ObedientTokens,
  { own, word }: { own: number; word: number },
): number | null {
  if (ends.some((id) => isAllowed(allowed, id))) return null;
  const close = closing.find((id) => isAllowed(allowed, id));
  if (close !== undefined && (word >>> 6) % CLOSE_EVERY === 0) return close;
  return isAllowed(allowed, own) ? own : allowedAt(allowed, word % countAllowed(allowed));
}
