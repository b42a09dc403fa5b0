/**
 * Is a JSON schema of a caller one that can be used? Checked by hand: what it says of its own form, that references
 * stay inside and do not recur, and its size. What the schema allows is the business of those who enforce it.
 */
import { StatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';

type Schema = Readonly<Record<string, unknown>>;

const TYPES = new Set(['string', 'number', 'integer', 'boolean', 'object', 'array', 'null']);
/** Keywords that hold one schema, a list of them, or named ones. */
const ONE = ['items', 'additionalProperties', 'not', 'if', 'then', 'else', 'contains', 'propertyNames'];
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
  /** Schemas that stand above the present one, by nesting or by reference. */
  readonly #above = new Set<object>();
  #visited = 0;

  constructor(root: Schema, param: string) {
    this.#root = root;
    this.#param = param;
  }

  schema(value: unknown, at: string, depth: number): void {
    if (typeof value === 'boolean') return;
    if (!isRecord(value)) throw broken(at, 'expected a JSON schema, an object.');
    if (this.#above.has(value)) throw broken(at, 'recursive schemas are not served.');
    if (depth > LIMITS.schemaDepth) throw broken(this.#param, `deeper than ${LIMITS.schemaDepth} levels.`);
    if (++this.#visited > LIMITS.schemaNodes)
      throw broken(this.#param, `more than ${LIMITS.schemaNodes} schemas in one.`);
    this.#above.add(value);
    this.#form(value, at);
    for (const key of ONE) {
      const each = value[key];
      if (each === undefined) continue;
      if (key === 'items' && Array.isArray(each)) this.#list(each, `${at}.items`, depth);
      else this.schema(each, `${at}.${key}`, depth + 1);
    }
    for (const key of LISTS) if (value[key] !== undefined) this.#list(value[key], `${at}.${key}`, depth);
    for (const key of NAMED) {
      const named = value[key];
      if (named === undefined) continue;
      if (!isRecord(named)) throw broken(`${at}.${key}`, 'expected an object.');
      for (const [name, each] of Object.entries(named)) this.schema(each, `${at}.${key}.${name}`, depth + 1);
    }
    if (value['$ref'] !== undefined)
      this.schema(this.#target(value['$ref'], `${at}.$ref`), `${at}.$ref`, depth + 1);
    this.#above.delete(value);
  }

  #form(schema: Schema, at: string): void {
    const { type, required, enum: values } = schema;
    if (type !== undefined) {
      const names = Array.isArray(type) ? type : [type];
      if (names.length === 0 || !names.every((name) => TYPES.has(name))) {
        throw broken(`${at}.type`, `expected one of ${[...TYPES].join(', ')}.`);
      }
    }
    if (
      required !== undefined &&
      !(Array.isArray(required) && required.every((n) => typeof n === 'string'))
    ) {
      throw broken(`${at}.required`, 'expected a list of names.');
    }
    if (values !== undefined && !(Array.isArray(values) && values.length > 0)) {
      throw broken(`${at}.enum`, 'expected a list of values.');
    }
  }

  #list(value: unknown, at: string, depth: number): void {
    if (!Array.isArray(value)) throw broken(at, 'expected a list of schemas.');
    value.forEach((each, index) => {
      this.schema(each, `${at}[${index}]`, depth + 1);
    });
  }

  /** What a JSON pointer into the schema itself names. */
  #target(reference: unknown, at: string): unknown {
    if (typeof reference !== 'string' || !/^#(\/|$)/.test(reference)) {
      throw broken(at, "expected a reference into the schema itself, '#/...'.");
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
    if (target === undefined) throw broken(at, `'${reference}' names nothing.`);
    return target;
  }
}

const isRecord = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const broken = (param: string, reason: string): StatorError =>
  new StatorError('invalid_request', `Invalid value for '${param}': ${reason}`, { param });
