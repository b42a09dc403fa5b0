/**
 * Is a JSON schema of a caller one that can be used? Checked by hand: what it says of its own form, that references
 * stay inside, and its size; each schema once, however often it is referred to. What the schema allows is the business of those who enforce it.
 */
import { LIMITS } from '../../durable/runtime/limits.ts';
import { invalid } from './parse.ts';

type Schema = Readonly<Record<string, unknown>>;

const TYPES = new Set(['string', 'number', 'integer', 'boolean', 'object', 'array', 'null']);
/** Keywords that hold one schema, a list of them, or named ones. */
const ONE = ['items', 'additionalProperties', 'not', 'if', 'then', 'else', 'contains', 'propertyNames'];
/** Of these, the keywords whose schemas describe the same value: a cycle of them alone describes nothing. */
const SAME = new Set(['not', 'if', 'then', 'else', 'anyOf', 'oneOf', 'allOf', 'dependentSchemas', '$ref']);
const LISTS = ['anyOf', 'oneOf', 'allOf', 'prefixItems'];
const NAMED = ['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas'];

/** Throws `invalid_request` naming the place. */
export function checkSchema(root: Schema, param: string): void {
  const walk = new Walk(root, param);
  walk.schema(root, param, 0);
}

class Walk {
  readonly #root: Schema;
  readonly #param: string;
  readonly #visited = new Set<object>();
  /** Schemas above the present one that describe the same value. */
  #same = new Set<object>();

  constructor(root: Schema, param: string) {
    this.#root = root;
    this.#param = param;
  }

  schema(value: unknown, at: string, depth: number): void {
    if (typeof value === 'boolean') return;
    if (!isRecord(value)) throw invalid(at, 'expected a JSON schema, an object.');
    if (this.#same.has(value)) throw invalid(at, 'it refers to itself without end.');
    if (this.#visited.has(value)) return;
    if (depth > LIMITS.schemaDepth) throw invalid(this.#param, `deeper than ${LIMITS.schemaDepth} levels.`);
    if (this.#visited.size >= LIMITS.schemaNodes)
      throw invalid(this.#param, `more than ${LIMITS.schemaNodes} schemas in one.`);
    this.#visited.add(value);
    this.#same.add(value);
    this.#form(value, at);
    const same = this.#same;
    for (const [key, each] of Object.entries(value)) {
      if (each === undefined) continue;
      this.#same = SAME.has(key) ? same : new Set();
      this.#keyword(key, each, { at: `${at}.${key}`, depth });
    }
    this.#same = same;
    same.delete(value);
  }

  #keyword(key: string, each: unknown, { at, depth }: { at: string; depth: number }): void {
    if (LISTS.includes(key) || (key === 'items' && Array.isArray(each))) this.#list(each, at, depth);
    else if (ONE.includes(key)) this.schema(each, at, depth + 1);
    else if (key === '$ref') this.schema(this.#target(each, at), at, depth + 1);
    else if (NAMED.includes(key)) {
      if (!isRecord(each)) throw invalid(at, 'expected an object.');
      for (const [name, one] of Object.entries(each)) this.schema(one, `${at}.${name}`, depth + 1);
    }
  }

  #form(schema: Schema, at: string): void {
    const { type, required, enum: values } = schema;
    if (type !== undefined) {
      const names = Array.isArray(type) ? type : [type];
      if (names.length === 0 || !names.every((name) => TYPES.has(name))) {
        throw invalid(`${at}.type`, `expected one of ${[...TYPES].join(', ')}.`);
      }
    }
    if (
      required !== undefined &&
      !(Array.isArray(required) && required.every((n) => typeof n === 'string'))
    ) {
      throw invalid(`${at}.required`, 'expected a list of names.');
    }
    if (values !== undefined && !(Array.isArray(values) && values.length > 0)) {
      throw invalid(`${at}.enum`, 'expected a list of values.');
    }
  }

  #list(value: unknown, at: string, depth: number): void {
    if (!Array.isArray(value)) throw invalid(at, 'expected a list of schemas.');
    value.forEach((each, index) => {
      this.schema(each, `${at}[${index}]`, depth + 1);
    });
  }

  /** What a JSON pointer into the schema itself names. */
  #target(reference: unknown, at: string): unknown {
    if (typeof reference !== 'string' || !/^#(\/|$)/.test(reference)) {
      throw invalid(at, "expected a reference into the schema itself, '#/...'.");
    }
    let target: unknown = this.#root;
    for (const part of reference.split('/').slice(1)) {
      const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
      const container = target as Record<string, unknown> | null | undefined;
      target =
        typeof container === 'object' && container !== null && Object.hasOwn(container, key)
          ? container[key]
          : undefined;
    }
    if (target === undefined) throw invalid(at, `'${reference}' names nothing.`);
    return target;
  }
}

const isRecord = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
