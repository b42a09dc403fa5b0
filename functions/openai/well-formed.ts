/**
 * Half a surrogate pair is no character: no tokenizer has a token for it, so it is refused instead of being replaced
 * silently. One native pass, none at all over Latin text.
 */
import { invalid } from './parse.ts';

/** The text itself. Throws `invalid_request` naming the field. */
export function wellFormed(text: string, param: string): string {
  if (text.isWellFormed()) return text;
  throw invalid(param, 'it has half of a surrogate pair, which is no character.');
}
