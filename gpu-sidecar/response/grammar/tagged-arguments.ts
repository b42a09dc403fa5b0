/**
 * Arguments as tags: the parameters of a forced call, where the family writes each between two of them. A value that the schema calls
 * a string is its text, in which the closing tag cannot stand; any other is JSON. The parser takes the same decision
 * (`parsers/calls/parameter-types.ts`), so that what is written as one is not read as the other.
 */

import { isStringParameter } from '../parsers/calls/parameter-types.ts';
import type { Lark } from './lark.ts';
import { type ForcedTool, namedParameters, refuse } from './named-parameters.ts';
import { hasChoice, plainString, type StringSchema } from './plain-string.ts';
import { schemaWithout } from './schema-without.ts';
import { textWithout } from './text-without.ts';

export interface TagForm {
  /** What stands before a value. */
  open: (name: string, options: { isString: boolean }) => string;
  /** Ends a value; the parser looks for nothing else there. */
  marker: string;
  /** What stands behind a value, `marker` in it. */
  close: string;
  /** The parser takes a line feed at each end of a value for a part of the tags, though none is written. */
  trims: boolean;
}

/** Quotes and brackets end a name, and blanks at its ends are no part of it. */
const canWrite = (name: string): boolean => /^[^\s<>"]+(?: [^\s<>"]+)*$/.test(name);

/** A line feed neither first nor last. */
const TRIMMED = '(?:[^\\n](?:(?s:.*)[^\\n])?)?';

/** An expression of Lark. */
export function taggedArguments(lark: Lark, forced: ForcedTool, form: TagForm): string {
  return namedParameters(forced, canWrite)
    .map(({ name, required, schema }) => {
      const isString = isStringParameter([forced.tool], forced.tool.name, name);
      const options = { forced, form, name };
      const value = isString ? text(lark, schema as StringSchema, options) : json(lark, schema, form);
      if (value === null && required)
        refuse(forced, `no value of its parameter '${name}' can be written there`);
      if (value === null) return '';
      const written = `${lark.text(form.open(name, { isString }))} ${value}`;
      return required ? written : `(${written})?`;
    })
    .join(' ');
}

const json = (lark: Lark, schema: unknown, form: TagForm): string =>
  `${lark.json(schemaWithout(form.marker, schema))} ${lark.text(form.close)}`;

/** null: nothing that the schema allows can stand there. */
function text(
  lark: Lark,
  schema: StringSchema,
  { forced, form, name }: { forced: ForcedTool; form: TagForm; name: string },
): string | null {
  const fits = (value: string) => !value.includes(form.marker) && !(form.trims && /^\n|\n$/.test(value));
  if (!hasChoice(schema, fits)) return null;
  const refused = (reason: string) => refuse(forced, `'${name}': ${reason}`);
  const expressions = [textWithout(form.marker), ...plainString(schema, { canWrite: fits, refuse: refused })];
  if (form.trims) expressions.push(TRIMMED);
  return lark.textThen(expressions, form.close);
}
