/**
 * What a JSON schema forbids, as values: for every field each bound crossed, each wrong type, names that are not of an
 * enumeration, fields that are not there. Knows the keywords that zod writes; of several forms of a field each is taken by itself.
 */

import type { Schema } from '../../functions/openapi/schema-rows.ts';

export interface Violation {
  /** As errors name it: `messages[0].role`. */
  field: string;
  what: string;
  /** What stands there in place of something right. */
  value: unknown;
}

const OF_TYPE: Readonly<Record<string, unknown>> = {
  string: 'text',
  number: 0.5,
  boolean: true,
  array: [],
  object: {},
};

const formsOf = (schema: Schema): readonly Schema[] => {
  const forms = schema.anyOf ?? schema.oneOf;
  if (forms !== undefined) return forms.flatMap(formsOf);
  if (!Array.isArray(schema.type)) return [schema];
  return schema.type.map((type) => ({ ...schema, type }));
};

const typeOf = ({ type, ...schema }: Schema): string | undefined => {
  if (type === 'integer') return 'number';
  const given = schema.const ?? schema.enum?.[0];
  return (Array.isArray(type) ? type[0] : type) ?? (given === undefined ? undefined : typeof given);
};

/** Something right; `at` replaces one member. */
export function valid(schema: Schema, at?: { name: string; value: unknown }): unknown {
  const form = formsOf(schema).find(({ type }) => type !== 'null') ?? schema;
  if (form.const !== undefined) return form.const;
  if (form.enum !== undefined) return form.enum[0];
  switch (typeOf(form)) {
    case 'string':
      return form.pattern === undefined ? 'text'.slice(0, form.maxLength) : matching(form.pattern);
    case 'number':
      return form.minimum ?? (form.exclusiveMinimum ?? 0) + 1;
    case 'boolean':
      return true;
    case 'array':
      return Array.from({ length: form.minItems ?? 0 }, () => valid(form.items ?? {}));
    case 'object': {
      const members = (form.required ?? []).map((name) => [name, valid(form.properties?.[name] ?? {})]);
      return { ...Object.fromEntries(members), ...(at === undefined ? {} : { [at.name]: at.value }) };
    }
    default:
      return 1;
  }
}

/** Of the few patterns that there are. */
function matching(pattern: string): string {
  const found = ['a', '1', 'a1', 'gpu=a'].find((text) => new RegExp(pattern).test(text));
  if (found === undefined) throw new Error(`nothing here fits ${pattern}`);
  return found;
}

/** Everything that is wrong with a value of this schema that stands in `field`. */
export function violations(schema: Schema, field: string): Violation[] {
  const forms = formsOf(schema);
  const types = forms.map(typeOf);
  const found: Violation[] = [];
  const add = (what: string, value: unknown, inside = field) => found.push({ field: inside, what, value });
  if (!types.includes(undefined)) {
    for (const [type, value] of Object.entries(OF_TYPE)) if (!types.includes(type)) add(`a ${type}`, value);
  }
  if (!types.includes(undefined) && !types.includes('null')) add('null', null);
  for (const form of forms) {
    if (types.filter((type) => type === typeOf(form)).length > 1) continue;
    if (form.enum !== undefined || form.const !== undefined) add('not of the list', 'no such value');
    switch (typeOf(form)) {
      case 'number':
        numbers(form, types, add);
        break;
      case 'string':
        strings(form, add);
        break;
      case 'array':
        arrays(form, field, add);
        break;
      case 'object':
        objects(form, field, add);
        break;
    }
  }
  return found;
}

type Add = (what: string, value: unknown, inside?: string) => void;

function numbers(form: Schema, types: readonly unknown[], add: Add): void {
  if (form.minimum !== undefined) add('too little', form.minimum - 1);
  if (form.exclusiveMinimum !== undefined) add('the bound that is excluded', form.exclusiveMinimum);
  if (form.maximum !== undefined) add('too much', form.maximum + 1);
  if (form.type === 'integer' && !types.includes(undefined)) add('a fraction', (form.minimum ?? 0) + 0.5);
}

function strings(form: Schema, add: Add): void {
  if (form.minLength !== undefined) add('empty', '');
  if (form.maxLength !== undefined) add('too long', 'x'.repeat(form.maxLength + 1));
  if (form.pattern !== undefined) add('not of the pattern', '\u0000 \u0000');
}

function arrays(form: Schema, field: string, add: Add): void {
  const one = valid(form.items ?? {});
  if (form.minItems !== undefined) add('too few', []);
  if (form.maxItems !== undefined) add('too many', Array(form.maxItems + 1).fill(one));
  for (const inner of violations(form.items ?? {}, `${field}[0]`))
    add(inner.what, [inner.value], inner.field);
}

function objects(form: Schema, field: string, add: Add): void {
  const within = (name: string) => (field === '' ? name : `${field}.${name}`);
  if (form.additionalProperties === false) {
    add('unknown', valid(form, { name: 'no_such_field', value: 1 }), within('no_such_field'));
  }
  for (const [name, member] of Object.entries(form.properties ?? {})) {
    const inside = within(name);
    if (form.required?.includes(name)) {
      add('missing', valid(form, { name, value: undefined }), inside);
    }
    for (const inner of violations(member, inside)) {
      add(inner.what, valid(form, { name, value: inner.value }), inner.field);
    }
  }
}
