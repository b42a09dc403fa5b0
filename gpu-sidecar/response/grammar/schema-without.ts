/**
 * A JSON schema whose strings do not contain a marker, for JSON that stands where no string may hold one: inside tags, and in
 * messages of gpt-oss. What it allows, the given schema allows: it only becomes narrower. So objects whose keys nobody named take only
 * keys without the marker, and those with named keys no others.
 */

import { textWithout } from './text-without.ts';

type Schema = Record<string, unknown>;

/** Any value; a name that no schema of a client has by accident. */
const ANY = 'stator_any';

const LISTS = ['anyOf', 'oneOf', 'prefixItems'];
const MAPS = ['properties', 'patternProperties'];
const DEFINITIONS = ['$defs', 'definitions'];
const SINGLE = ['items', 'additionalItems'];
/** Say nothing of the value. */
const ANNOTATIONS = new Set(['title', 'description', 'default', 'examples', '$comment', 'deprecated']);
/** A schema that has one of these and no type is of that type. */
const TYPED: readonly (readonly [type: string, keywords: readonly string[]])[] = [
  ['object', ['properties', 'required', 'additionalProperties', 'patternProperties']],
  ['array', ['items', 'prefixItems', 'minItems', 'maxItems']],
  ['string', ['pattern', 'minLength', 'maxLength', 'format']],
  ['number', ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf']],
];
const COMBINED = ['$ref', 'enum', 'const', 'anyOf', 'oneOf', 'allOf'];

/** Definitions are `schema`'s own and are narrowed with it. */
export function schemaWithout(marker: string, schema: unknown): unknown {
  const pattern = `^${textWithout(marker)}$`;
  const narrowed = new Narrowing(marker, pattern).narrow(schema, true);
  if (typeof narrowed !== 'object' || narrowed === null) return narrowed;
  const any = { anyOf: anyValue(pattern) };
  return { ...narrowed, $defs: { ...((narrowed as Schema)['$defs'] as object), [ANY]: any } };
}

const anyValue = (pattern: string): Schema[] => {
  const any = { $ref: `#/$defs/${ANY}` };
  return [
    { type: ['null', 'boolean', 'number'] },
    { type: 'string', pattern },
    { type: 'array', items: any },
    { type: 'object', patternProperties: { [pattern]: any }, additionalProperties: false },
  ];
};

class Narrowing {
  readonly #marker: string;
  readonly #pattern: string;

  constructor(marker: string, pattern: string) {
    this.#marker = marker;
    this.#pattern = pattern;
  }

  /** `closes`: the schema is all that is said of its value, so that keys it does not name can be left out. */
  narrow(given: unknown, closes: boolean): unknown {
    if (given === true) return { $ref: `#/$defs/${ANY}` };
    if (typeof given !== 'object' || given === null) return given;
    const schema: Schema = { ...given };
    this.#inside(schema);
    this.#values(schema);
    if (COMBINED.some((keyword) => keyword in schema)) {
      // Keys that one part names are others to the next.
      if (schema['properties'] !== undefined) this.#type(schema, false);
      return schema;
    }
    schema['type'] ??= TYPED.find(([, keywords]) => keywords.some((keyword) => keyword in schema))?.[0];
    if (schema['type'] === undefined) {
      delete schema['type'];
      const said = Object.keys(schema).filter((key) => !ANNOTATIONS.has(key) && !DEFINITIONS.includes(key));
      return said.length === 0 ? { ...schema, $ref: `#/$defs/${ANY}` } : schema;
    }
    this.#type(schema, closes);
    return schema;
  }

  #inside(schema: Schema): void {
    const each = (value: unknown) => this.narrow(value, true);
    for (const key of SINGLE) {
      if (key in schema) schema[key] = Array.isArray(schema[key]) ? schema[key].map(each) : each(schema[key]);
    }
    for (const key of LISTS) if (Array.isArray(schema[key])) schema[key] = schema[key].map(each);
    for (const key of [...MAPS, ...DEFINITIONS]) {
      const map = schema[key];
      if (typeof map !== 'object' || map === null) continue;
      schema[key] = Object.fromEntries(Object.entries(map).map(([name, value]) => [name, each(value)]));
    }
    if (Array.isArray(schema['allOf'])) {
      schema['allOf'] = schema['allOf'].map((part: unknown) => this.narrow(part, false));
    }
  }

  #values(schema: Schema): void {
    if (Array.isArray(schema['enum'])) schema['enum'] = schema['enum'].filter((value) => !this.#holds(value));
    if ('const' in schema && this.#holds(schema['const'])) schema['enum'] = [];
  }

  #holds(value: unknown): boolean {
    return (JSON.stringify(value) ?? '').includes(this.#marker);
  }

  #type(schema: Schema, closes: boolean): void {
    const has = (type: string) => schema['type'] === type || isListWith(schema['type'], type);
    if (has('string') && schema['format'] === undefined) this.#string(schema);
    if (has('array') && schema['items'] === undefined && schema['prefixItems'] === undefined) {
      schema['items'] = this.narrow(true, true);
    }
    if (has('object')) this.#object(schema, closes);
  }

  #string(schema: Schema): void {
    if (schema['pattern'] === undefined) schema['pattern'] = this.#pattern;
    else schema['allOf'] = [...((schema['allOf'] as unknown[]) ?? []), { pattern: this.#pattern }];
  }

  #object(schema: Schema, closes: boolean): void {
    const others = schema['additionalProperties'] ?? true;
    if (others === false) return;
    const named = schema['properties'] !== undefined || schema['patternProperties'] !== undefined;
    if (named && !closes) return;
    schema['additionalProperties'] = false;
    if (!named) schema['patternProperties'] = { [this.#pattern]: this.narrow(others, true) };
  }
}

const isListWith = (types: unknown, type: string): boolean => Array.isArray(types) && types.includes(type);
