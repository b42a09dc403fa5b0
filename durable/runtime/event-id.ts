/**
 * The `id:` line of a streamed event, which lets a lost stream be continued elsewhere (design 1.4).
 *
 * Grammar: `id: <index>:<token ids>` where `index` counts the response's events from 0 up by 1 (comments do not
 * count) and the ids are those generated since the event before, base 36, joined by `.`; none = empty. Ids of text
 * that was held back (half a character, a possible stop string) travel with the next event that is written.
 * Clients ignore the line. The sidecar writes it, the function reads it from the bytes it kept; pure.
 */

export interface EventId {
  /** Position of the event in its response, from 0. */
  index: number;
  /** Tokens generated since the event before. */
  tokenIds: number[];
}

const RADIX = 36;

/** The line, with its line feed: `id: 7:1c.2f\n`. */
export function formatEventId(index: number, tokenIds: ArrayLike<number>): string {
  let line = `id: ${index}:`;
  for (let at = 0; at < tokenIds.length; at++) line += (at ? '.' : '') + tokenIds[at]!.toString(RADIX);
  return `${line}\n`;
}

const VALUE = /^(\d{1,9}):((?:[0-9a-z]{1,7}(?:\.[0-9a-z]{1,7})*)?)$/;

/** Reads the value behind `id: `; null when it is not of this grammar. */
export function parseEventId(value: string): EventId | null {
  const match = VALUE.exec(value);
  if (!match) return null;
  const ids = match[2]!;
  return {
    index: Number(match[1]),
    tokenIds: ids === '' ? [] : ids.split('.').map((id) => Number.parseInt(id, RADIX)),
  };
}
