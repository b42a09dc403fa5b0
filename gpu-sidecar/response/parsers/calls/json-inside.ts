/** Text as it stands between the quotes of a JSON string; what needs no escape, as most pieces do not, is told by a look. */

/** Spaces and what stands behind them in Unicode, without quote and backslash. Text of a model has no halves of characters. */
const PLAIN = /^[ !#-[\]-\uffff]*$/;

export function jsonInside(text: string): string {
  return PLAIN.test(text) ? text : JSON.stringify(text).slice(1, -1);
}
