/**
 * GBNF (`root ::= …`, what llama.cpp and XGrammar read) as Lark. The two differ in how rules are named and begun and how
 * character classes and comments are written; repetitions, groups and literals are the same.
 *
 * Pure, one pass. What it does not know it refuses by its place; what rules mean is for llguidance to judge.
 */

import { StatorError } from '../../../durable/runtime/errors.ts';

const TOKEN =
  /(?<space>[ \t\r\n]+)|(?<comment>#[^\n]*)|(?<defines>::=)|(?<name>[A-Za-z_][\w-]*)|(?<text>"(?:\\[\s\S]|[^"\\\n])*")|(?<chars>\[(?:\\[\s\S]|[^\]\\\n])+\])|(?<mark>\{\d*,?\d*\}|[()|*+?.])/y;

export const isGbnf = (text: string): boolean =>
  /^\s*[A-Za-z_][\w-]*\s*::=/.test(text.replaceAll(/#[^\n]*/g, ''));

/** Throws StatorError `invalid_request` with `param`. */
export function larkOfGbnf(text: string, param: string): string {
  const tokens = tokensOf(text, param);
  const parts = tokens.map(({ kind, value }, index) => {
    switch (kind) {
      case 'defines':
        return ':';
      case 'name':
        return `${tokens[index + 1]?.kind === 'defines' ? '\n' : ' '}${ruleName(value)}`;
      case 'chars':
        return ` /${value.replaceAll('/', '\\/')}/`;
      case 'text':
        return ` ${literal(value)}`;
      default:
        if (value === '.') return ' /(?s:.)/';
        return REPEATS.test(value) ? value : ` ${value}`;
    }
  });
  return `${parts.join('').trimStart()}\n`;
}

const REPEATS = /^[{*+?]/;

function tokensOf(text: string, param: string): { kind: string; value: string }[] {
  const tokens: { kind: string; value: string }[] = [];
  for (let at = 0; at < text.length; at = TOKEN.lastIndex) {
    TOKEN.lastIndex = at;
    const groups = TOKEN.exec(text)?.groups;
    if (groups === undefined) {
      const line = text.slice(0, at).split('\n').length;
      const message = `Invalid value for '${param}': line ${line}: unexpected ${JSON.stringify(text.slice(at, at + 20))}.`;
      throw new StatorError('invalid_request', message, { param });
    }
    const [kind, value] = Object.entries(groups).find(([, found]) => found !== undefined)!;
    if (kind !== 'space' && kind !== 'comment') tokens.push({ kind, value });
  }
  return tokens;
}

/** Lark's rules have small letters, and begin at `start`. */
const ruleName = (name: string): string =>
  name === 'root' ? 'start' : `r_${name.toLowerCase().replaceAll('-', '_')}`;

/** `\x41` is not JSON's way. */
const literal = (text: string): string =>
  text.replaceAll(/\\x([0-9A-Fa-f]{2})|\\'|\\\[|\\\]/g, (found, hex?: string) =>
    hex === undefined ? found.slice(1) : `\\u00${hex}`,
  );
