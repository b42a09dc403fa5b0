/**
 * How text looks in a terminal: dim where colours are wanted, and nothing that a model wrote may steer it. Control
 * characters of an answer are dropped on a terminal, because an escape sequence could rewrite what was there before.
 */

export interface Style {
  dim(text: string): string;
  /** What an answer may show. */
  printable(text: string): string;
}

/** C0 but tab and line feed, DEL, and C1, whose 0x9b begins sequences like ESC [. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** `stream`: where it is written. `NO_COLOR` (https://no-color.org) and pipes get plain text. */
export function styleOf(
  stream: { isTTY?: boolean },
  env: Readonly<Record<string, string | undefined>>,
): Style {
  const isTerminal = stream.isTTY === true;
  const colours = isTerminal && !env['NO_COLOR'] && env['TERM'] !== 'dumb';
  return {
    dim: (text) => (colours && text !== '' ? `\x1b[2m${text}\x1b[22m` : text),
    printable: (text) => (isTerminal ? text.replace(CONTROL, '') : text),
  };
}
