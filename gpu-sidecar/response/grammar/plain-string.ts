/**
 * A string of a schema as it stands between tags, without quotes and escapes: expressions of llguidance that it must all match.
 * JSON Schema's own expressions match anywhere and are JavaScript's; llguidance's match the whole and are Rust's.
 */

import { escaped } from './text-without.ts';

/** Looser than the standards where these are about values (leap years) and not about form. */
const FORMATS: Readonly<Record<string, string>> = {
  date: '[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])',
  time: '(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,9})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])',
  uuid: '[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}',
  email: '[A-Za-z0-9_+-]{1,64}(?:\\.[A-Za-z0-9_+-]{1,32}){0,4}@[a-z0-9]{1,60}(?:\\.[a-z0-9]{1,60}){1,4}',
  ipv4: '(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\\.){3}(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])',
};
const FORMAT_NAMES = [...Object.keys(FORMATS), 'date-time'];

/** JavaScript's classes are of ASCII; those that it negates are no larger here. */
const CLASSES: Readonly<Record<string, string>> = {
  '\\d': '0-9',
  '\\w': 'A-Za-z0-9_',
  '\\s': ' \\t\\n\\r\\f\\v',
};

export interface StringSchema {
  enum?: unknown;
  const?: unknown;
  minLength?: unknown;
  maxLength?: unknown;
  pattern?: unknown;
  format?: unknown;
}

/** Of strings that are named: whether they can stand between the tags. */
type CanWrite = (text: string) => boolean;

/** `refuse` throws, with what cannot be held to. */
export function plainString(
  schema: StringSchema,
  { canWrite, refuse }: { canWrite: CanWrite; refuse: (reason: string) => never },
): string[] {
  const { minLength, maxLength, pattern, format } = schema;
  const expressions: string[] = [];
  const combined = COMBINED.find((keyword) => keyword in schema);
  if (combined !== undefined) refuse(`'${combined}' beside what makes it a string`);
  if (minLength !== undefined || maxLength !== undefined) {
    expressions.push(`(?s:.){${Number(minLength ?? 0)},${maxLength === undefined ? '' : Number(maxLength)}}`);
  }
  if (typeof pattern === 'string') expressions.push(wholeExpression(pattern));
  if (typeof format === 'string') {
    const known = format === 'date-time' ? `${FORMATS['date']}T${FORMATS['time']}` : FORMATS[format];
    if (known === undefined) return refuse(`the format '${format}' is not one of ${FORMAT_NAMES.join(', ')}`);
    expressions.push(known);
  }
  const choices = choicesOf(schema);
  if (choices !== null) expressions.push(choices.filter(canWrite).map(inExpression).join('|'));
  return expressions;
}

const COMBINED = ['$ref', 'anyOf', 'allOf', 'oneOf', 'not'];

/** Whether any value of the schema can be written. */
export const hasChoice = (schema: StringSchema, canWrite: CanWrite): boolean =>
  choicesOf(schema)?.some(canWrite) ?? true;

/** The strings that it may be; null: not said. */
function choicesOf(schema: StringSchema): string[] | null {
  const values = 'const' in schema ? [schema.const] : schema.enum;
  return Array.isArray(values) ? values.filter((value) => typeof value === 'string') : null;
}

/** Line feeds and the like stand in no expression of Lark. */
const inExpression = (text: string): string =>
  escaped(text).replaceAll('\n', '\\n').replaceAll('\r', '\\r').replaceAll('\t', '\\t');

/** An expression that matches somewhere, as one that matches the whole. */
function wholeExpression(pattern: string): string {
  const alternatives = topLevelAlternatives(rustExpression(pattern));
  return alternatives
    .map((alternative) => {
      const begins = alternative.startsWith('^');
      const ends = /(?<!\\)(?:\\\\)*\$$/.test(alternative);
      const inner = alternative.slice(begins ? 1 : 0, ends ? -1 : undefined);
      return `${begins ? '' : '(?s:.*)'}(?:${inner})${ends ? '' : '(?s:.*)'}`;
    })
    .join('|');
}

const TOKEN = /\\[\s\S]|[\s\S]/gu;

function rustExpression(pattern: string): string {
  let inClass = false;
  return (pattern.match(TOKEN) ?? [])
    .map((token) => {
      const ascii = CLASSES[token];
      if (ascii !== undefined) return inClass ? ascii : `[${ascii}]`;
      if (token === '.' && !inClass) return '[^\\n\\r\\u{2028}\\u{2029}]';
      if (token === '[' && !inClass) inClass = true;
      else if (token === ']') inClass = false;
      else if (inClass && /^[[&~]$/.test(token)) return `\\${token}`;
      return token === '/' ? '\\/' : inLine(token);
    })
    .join('');
}

const inLine = (token: string): string => ({ '\n': '\\n', '\r': '\\r', '\t': '\\t' })[token] ?? token;

function topLevelAlternatives(expression: string): string[] {
  const alternatives = [''];
  let depth = 0;
  let inClass = false;
  for (const token of expression.match(TOKEN) ?? []) {
    if (token === '[' && !inClass) inClass = true;
    else if (token === ']') inClass = false;
    else if (!inClass) depth += token === '(' ? 1 : token === ')' ? -1 : 0;
    if (token === '|' && depth === 0 && !inClass) alternatives.push('');
    else alternatives[alternatives.length - 1] += token;
  }
  return alternatives;
}
