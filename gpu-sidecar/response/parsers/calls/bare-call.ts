/**
 * Some models begin a call without any marker, as an answer that is JSON or a Python list. Whether the answer is a call
 * is decided before anything is given out: it must begin with a call of a tool of the request.
 */

import type { ToolSpec } from '../parser.ts';

/** Text from its first non-blank on: a call; no call; too short to say. */
type Verdict = 'call' | 'text' | 'open';
export type IsBareCall = (text: string, tools: readonly ToolSpec[]) => Verdict;

/** What stands before the arguments, white space and the longest name included, is not longer: else it is text. */
const HEAD_LENGTH = 512;

/** What stands there, by the tools of a request. */
type Words = readonly (readonly string[])[];
const jsonWords = new WeakMap<readonly ToolSpec[], Words>();
const pythonWords = new WeakMap<readonly ToolSpec[], Words>();

/** So that `add_all(` is not the tool `add`. */
const longestFirst = (names: string[]): string[] => names.sort((a, b) => b.length - a.length);

/** `{"name": "get_weather", "parameters":`, in this order, as the templates ask for it. */
export const isBareJson: IsBareCall = (text, tools) => {
  let words = jsonWords.get(tools);
  if (words === undefined) {
    const names = longestFirst(tools.map(({ name }) => JSON.stringify(name)));
    words = [['{'], ['"name"'], [':'], names, [','], ['"parameters"', '"arguments"'], [':']];
    jsonWords.set(tools, words);
  }
  return match(text, words);
};

/** `[get_weather(`. */
export const isBarePython: IsBareCall = (text, tools) => {
  let words = pythonWords.get(tools);
  if (words === undefined) {
    words = [['['], longestFirst(tools.map(({ name }) => name)), ['(']];
    pythonWords.set(tools, words);
  }
  return match(text, words);
};

/** Whether one of each list of words stands there, in order, with any white space between. */
function match(text: string, words: Words): Verdict {
  let at = 0;
  for (const choices of words) {
    while (at < text.length && text[at]! <= ' ') at++;
    const rest = text.slice(at, HEAD_LENGTH);
    const word = choices.find((choice) => rest.startsWith(choice));
    const open = at + rest.length === text.length && text.length < HEAD_LENGTH;
    if (open && choices.some((choice) => choice.length > rest.length && choice.startsWith(rest)))
      return 'open';
    if (word === undefined) return 'text';
    at += word.length;
  }
  return 'call';
}
