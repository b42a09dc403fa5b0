/**
 * What is wrong with a value, in words that a person who wrote JSON understands. Given to zod as the words of a parse, so that
 * what a schema says itself comes first. Each is a sentence's end: `Invalid value for 'n': must be at most 16.`
 */
import type * as z from 'zod';

type RawIssue = z.core.$ZodRawIssue;

/** Of a field that is not there; each API has its own sentence for it. */
export const MISSING = 'it is missing.';

const KINDS: Readonly<Record<string, string>> = {
  array: 'an array',
  boolean: 'a boolean',
  int: 'an integer',
  null: 'null',
  number: 'a number',
  object: 'an object',
  record: 'an object',
  string: 'a string',
};

const kind = (name: string): string => KINDS[name] ?? name;

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  return kind(Array.isArray(value) ? 'array' : typeof value);
}

/** undefined: zod's own words. */
export function issueWords(issue: RawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      if (issue.input === undefined) return MISSING;
      if (issue.expected === 'int' && typeof issue.input === 'number') return 'expected an integer.';
      return `expected ${kind(String(issue.expected))}, got ${kindOf(issue.input)}.`;
    case 'too_small':
      return least(issue);
    case 'too_big':
      return most(issue);
    case 'invalid_value':
      if (issue.input === undefined) return MISSING;
      return `expected ${oneOf(issue.values as readonly unknown[])}.`;
    case 'invalid_key':
      return 'that is no key of it.';
    case 'invalid_union': {
      if (issue.input === undefined) return MISSING;
      const { options } = issue as { options?: readonly unknown[] };
      return options === undefined ? undefined : `expected ${oneOf(options)}.`;
    }
    default:
      return undefined;
  }
}

/** What is measured, if it is not the value itself. */
const UNITS: Readonly<Record<string, string>> = { array: 'items', string: 'characters', object: 'fields' };

function least({ origin, minimum, inclusive }: RawIssue): string {
  const unit = UNITS[String(origin)];
  if (unit !== undefined && minimum === 1) return 'it is empty.';
  if (unit !== undefined) return `it has fewer than ${minimum} ${unit}.`;
  return inclusive === false ? `must be more than ${minimum}.` : `must be at least ${minimum}.`;
}

function most({ origin, maximum, inclusive }: RawIssue): string {
  const unit = UNITS[String(origin)];
  if (unit !== undefined) return `it has more than ${maximum} ${unit}.`;
  return inclusive === false ? `must be less than ${maximum}.` : `must be at most ${maximum}.`;
}

function oneOf(values: readonly unknown[]): string {
  const said = values.filter((value) => value !== undefined).map((value) => JSON.stringify(value));
  return said.length === 1 ? said[0]! : `one of ${said.join(', ')}`;
}

/** A value of a union that fits none of its kinds: what they all expect, in one. */
export function joinedWords(messages: readonly string[]): string {
  const different = [...new Set(messages)];
  const kinds = different.map((message) => /^expected (.*), got (.*)\.$/.exec(message));
  const first = kinds[0];
  if (first == null || kinds.includes(null)) return different.join(', or: ');
  return `expected ${kinds.map((found) => found![1]).join(' or ')}, got ${first[2]}.`;
}
