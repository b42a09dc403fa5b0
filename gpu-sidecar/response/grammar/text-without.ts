/**
 * The regular expression of all texts in which a marker does not occur, as llguidance and JSON schemas read it. It has no
 * look-around, which neither of them knows: a `<` is followed by what does not go on with the marker, or by its beginning and then that.
 */

/** What stands for itself in no expression. */
const SPECIAL = /[\\^$.*+?()[\]{}|/&~#-]/g;

export const escaped = (text: string): string => text.replaceAll(SPECIAL, '\\$&');

/** `marker`: its first character comes once in it, so that it can only begin there. */
export function textWithout(marker: string): string {
  const first = escaped(marker[0]!);
  const rest = Array.from(marker.slice(1));
  const begun = rest.reduceRight<string>((behind, char) => {
    const other = `[^${escaped(char)}${first}][^${first}]*`;
    return behind === '' ? `(?:${other})?` : `(?:${other}|${escaped(char)}${behind})?`;
  }, '');
  return `[^${first}]*(?:${first}${begun})*`;
}
