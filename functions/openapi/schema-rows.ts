/** A JSON schema as the lines of a table: one per field, nested ones by their path (`messages[].role`). */

/** The keywords of JSON schema that zod writes. */
export interface Schema {
  $ref?: string;
  type?: string | string[];
  description?: string;
  properties?: Readonly<Record<string, Schema>>;
  required?: readonly string[];
  additionalProperties?: boolean | Schema;
  items?: Schema;
  anyOf?: readonly Schema[];
  oneOf?: readonly Schema[];
  const?: unknown;
  enum?: readonly unknown[];
  pattern?: string;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
}

export interface Row {
  path: string;
  required: boolean;
  /** In words: `string | null`, `Usage[]`. */
  type: string;
  /** `0 … 2`, `at most 16`. */
  bounds: string;
}

/** Fields within fields within fields: what lies deeper is named by its type only. */
const DEPTH = 6;

export function rowsOf(schema: Schema, prefix = '', depth = 0): Row[] {
  const rows: Row[] = [];
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    const path = prefix === '' ? name : `${prefix}.${name}`;
    const required = schema.required?.includes(name) ?? false;
    rows.push({ path, required, type: typeOf(field), bounds: boundsOf(field) });
    if (depth < DEPTH) rows.push(...inner(field, path, depth + 1));
  }
  if (schema.properties === undefined) rows.push(...inner(schema, prefix, depth));
  return rows;
}

/** The fields of what stands behind a field: an object, elements of a list, each of several forms. */
function inner(schema: Schema, path: string, depth: number): Row[] {
  if (schema.properties !== undefined) return rowsOf(schema, path, depth);
  if (schema.items !== undefined) return inner(schema.items, `${path}[]`, depth);
  const seen = new Set<string>();
  return alternatives(schema)
    .flatMap((each) => inner(each, path, depth))
    .filter((row) => !seen.has(row.path) && seen.add(row.path));
}

const alternatives = ({ anyOf, oneOf }: Schema): readonly Schema[] => anyOf ?? oneOf ?? [];

export function typeOf(schema: Schema): string {
  const { $ref, type, items } = schema;
  if ($ref !== undefined) return $ref.slice($ref.lastIndexOf('/') + 1);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  const forms = alternatives(schema);
  if (forms.length > 0) return [...new Set(forms.map(typeOf))].join(' | ');
  if (type === undefined) return 'any';
  if (Array.isArray(type)) return type.join(' | ');
  if (type !== 'array') return type;
  const element = items === undefined ? 'any' : typeOf(items);
  return element.includes(' ') ? `(${element})[]` : `${element}[]`;
}

function boundsOf(schema: Schema): string {
  const own = [
    range(schema.minimum ?? above(schema.exclusiveMinimum), schema.maximum, ''),
    range(schema.minLength, schema.maxLength, ' characters'),
    range(schema.minItems, schema.maxItems, ' elements'),
    schema.pattern ?? '',
  ];
  const all = [...own, ...alternatives(schema).map(boundsOf)].filter((text) => text !== '');
  return [...new Set(all)].join('; ');
}

const above = (bound: number | undefined) => (bound === undefined ? undefined : `above ${bound}`);

function range(low: number | string | undefined, high: number | undefined, unit: string): string {
  if (low === undefined && high === undefined) return '';
  if (high === undefined) return `${typeof low === 'number' ? `at least ${low}` : low}${unit}`;
  if (low === undefined) return `at most ${high}${unit}`;
  return `${low} … ${high}${unit}`;
}
