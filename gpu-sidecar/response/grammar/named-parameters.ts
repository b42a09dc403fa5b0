/**
 * What a tool takes, one by one, for families that write parameters and not an object. Each comes in the order of the schema;
 * what the schema allows beyond its named properties is not written. Pure.
 */

import { StatorError } from '../../../durable/runtime/errors.ts';
import type { ToolSpec } from '../parsers/parser.ts';

export interface NamedParameter {
  name: string;
  required: boolean;
  /** With the definitions that it refers to. */
  schema: unknown;
}

/** Where a refusal of a tool is to be said, and of which family. */
export interface ForcedTool {
  tool: ToolSpec;
  family: string;
  /** The client's name of the field that forces the call. */
  param: string;
}

type Schema = Readonly<Record<string, unknown>>;

const READ = ['type', 'properties', 'required', 'additionalProperties', '$defs', 'definitions', '$ref'];
const SILENT = [
  'title',
  'description',
  'default',
  'examples',
  'strict',
  'deprecated',
  '$schema',
  '$id',
  '$comment',
];
const KNOWN = new Set([...READ, ...SILENT]);
/** Of definitions that refer to each other at the root. */
const MOST_STEPS = 8;

/** Throws StatorError `unsupported_parameter` for a schema that says more, or a required name that cannot be written. */
export function namedParameters(forced: ForcedTool, canWrite: (name: string) => boolean): NamedParameter[] {
  const root = rootSchema(forced);
  const foreign = Object.keys(root).find((keyword) => !KNOWN.has(keyword) && !keyword.startsWith('x-'));
  if (foreign !== undefined) refuse(forced, `its schema has '${foreign}' beside its properties`);
  if (root['type'] !== undefined && root['type'] !== 'object')
    refuse(forced, 'its schema is not of an object');
  const properties = asSchema(root['properties']) ?? {};
  const required = new Set(Array.isArray(root['required']) ? (root['required'] as string[]) : []);
  const names = [...new Set([...Object.keys(properties), ...required])];
  const unwritable = names.find((name) => required.has(name) && !canWrite(name));
  if (unwritable !== undefined)
    refuse(forced, `the name of its parameter '${unwritable}' cannot be written there`);
  return names.filter(canWrite).map((name) => ({
    name,
    required: required.has(name),
    schema: withDefinitions(Object.hasOwn(properties, name) ? properties[name] : others(root), root, forced),
  }));
}

/** What a parameter must obey of which only the name is said. */
const others = (root: Schema): unknown => root['additionalProperties'] ?? true;

export function refuse({ tool, family, param }: ForcedTool, reason: string): never {
  const message = `A call of '${tool.name}' cannot be forced with workers that write calls like '${family}': ${reason}; use 'auto'.`;
  throw new StatorError('unsupported_parameter', message, { param });
}

function rootSchema(forced: ForcedTool): Schema {
  const given = asSchema(forced.tool.parameters ?? {});
  if (given === null) return refuse(forced, 'its schema is not an object');
  let root = given;
  for (let step = 0; root['$ref'] !== undefined; step++) {
    const reference = String(root['$ref']);
    const next = asSchema(target(given, reference));
    if (next === null || step === MOST_STEPS) refuse(forced, `its schema refers to '${reference}'`);
    root = { ...definitionsOf(given), ...next };
  }
  return root;
}

/** Of `#/$defs/NAME`, which is how all generators of schemas refer. */
function target(root: Schema, reference: string): unknown {
  const [, key, name] = /^#\/(\$defs|definitions)\/([^/]+)$/.exec(reference) ?? [];
  const definitions = key === undefined ? null : asSchema(root[key]);
  return definitions !== null && Object.hasOwn(definitions, name!) ? definitions[name!] : undefined;
}

function withDefinitions(schema: unknown, root: Schema, forced: ForcedTool): unknown {
  const references = JSON.stringify(schema)?.match(/"\$ref":"[^"]*"/g) ?? [];
  if (references.length === 0 || asSchema(schema) === null) return schema;
  const inner = JSON.stringify([schema, definitionsOf(root)]).match(
    /"\$ref":"(?!#\/(\$defs|definitions)\/)[^"]*"/,
  );
  if (inner !== null) refuse(forced, `its schema has ${inner[0]}, which is none of its definitions`);
  return { ...(schema as Schema), ...definitionsOf(root) };
}

const definitionsOf = (root: Schema): Schema =>
  Object.fromEntries(['$defs', 'definitions'].flatMap((key) => (key in root ? [[key, root[key]]] : [])));

const asSchema = (value: unknown): Schema | null =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Schema) : null;
