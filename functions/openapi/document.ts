/**
 * The OpenAPI 3.1 document, made of the table of operations. Requests are described as they may be sent, answers as they
 * are: an answer has no field that is not said. Made once per isolate, when somebody first asks.
 */
import * as z from 'zod';
import { errorSchema } from '../openai/error-schema.ts';
import { type Answer, type ApiOperation, type Content, namedSchemas, opaque, TAGS } from './operation.ts';
import { OPERATIONS } from './operations.ts';
import type { Schema } from './schema-rows.ts';

type Json = Record<string, unknown>;
type MediaTypes = Readonly<Record<string, { schema?: Schema; example?: unknown }>>;

export interface OperationObject {
  operationId: string;
  tags: string[];
  summary: string;
  description?: string;
  security: Json[];
  parameters?: { name: string; in: string; required?: boolean; description?: string; schema: Schema }[];
  requestBody?: { required: true; content: MediaTypes };
  responses: Record<string, { description: string; content?: MediaTypes }>;
}

/** As much of OpenAPI as is written here. */
export interface OpenApiDocument {
  openapi: '3.1.0';
  info: { title: string; version: string; description: string; license: { name: string } };
  tags: { name: string }[];
  paths: Record<string, Record<string, OperationObject>>;
  components: { schemas: Record<string, Schema>; securitySchemes: Json };
}

const REFERENCE = '#/components/schemas/';
const DESCRIPTION =
  'Large language models behind one address. Errors have the form of the API that was called and name the field. ' +
  'Every answer has `x-request-id`; those that a worker made and that had not to wait longer than a second have `x-stator-worker` and `x-stator-cached-tokens`.';

const SECURITY: Record<NonNullable<ApiOperation['access']>, Json[]> = {
  'api-key': [{ bearer: [] }, { key: [] }],
  'fleet-token': [{ fleet: [] }],
  'api-key-or-fleet-token': [{ bearer: [] }, { key: [] }, { fleet: [] }],
  open: [],
};

let made: OpenApiDocument | undefined;

export function openApiDocument(): OpenApiDocument {
  made ??= make();
  return made;
}

function make(): OpenApiDocument {
  const requests = new Schemas('input');
  const answers = new Schemas('output');
  const paths: OpenApiDocument['paths'] = {};
  for (const operation of OPERATIONS) {
    const path = templateOf(operation.path);
    paths[path] ??= {};
    paths[path][operation.method] = described(operation, requests, answers);
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Stator', version: '1', description: DESCRIPTION, license: { name: 'Apache-2.0' } },
    tags: TAGS.map((name) => ({ name })),
    paths,
    components: {
      schemas: { ...requests.components(), ...answers.components() },
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'The API key, where one is configured' },
        key: { type: 'apiKey', in: 'header', name: 'x-api-key', description: 'The same' },
        fleet: { type: 'http', scheme: 'bearer', description: 'The token that platform and workers share' },
      },
    },
  };
}

function described(operation: ApiOperation, requests: Schemas, answers: Schemas): OperationObject {
  const { id, tag, summary, description, request, example, access = 'api-key' } = operation;
  const made: OperationObject = {
    operationId: id,
    tags: [tag],
    summary,
    security: SECURITY[access],
    responses: responsesOf(operation, answers),
  };
  if (description !== undefined) made.description = description;
  const parameters = parametersOf(operation, requests);
  if (parameters.length > 0) made.parameters = parameters;
  if (request !== undefined)
    made.requestBody = { required: true, content: contentOf(request, requests, example) };
  return made;
}

function parametersOf(
  { path, query = {}, headers = {} }: ApiOperation,
  requests: Schemas,
): NonNullable<OperationObject['parameters']> {
  const inPath = [...path.matchAll(/:(\w+)/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  const inQuery = Object.entries(query).map(([name, schema]) => ({
    name,
    in: 'query',
    schema: requests.of(schema),
  }));
  const inHeaders = Object.entries(headers).map(([name, description]) => ({
    name,
    in: 'header',
    description,
    schema: { type: 'string' },
  }));
  return [...inPath, ...inQuery, ...inHeaders];
}

function responsesOf(
  { answers, errors = errorSchema }: ApiOperation,
  schemas: Schemas,
): OperationObject['responses'] {
  const all: Record<string, Answer> = { ...answers };
  if (errors !== null) {
    const content = { 'application/json': errors };
    all['4XX'] = { description: 'The request is wrong', content };
    all['5XX'] = { description: 'The platform or its workers could not', content };
  }
  return Object.fromEntries(
    Object.entries(all).map(([status, { description, content }]) => [
      status,
      content === undefined ? { description } : { description, content: contentOf(content, schemas) },
    ]),
  );
}

function contentOf(content: Content, schemas: Schemas, example?: unknown): MediaTypes {
  return Object.fromEntries(
    Object.entries(content).map(([type, schema]) => [
      type,
      schema === opaque ? {} : { schema: schemas.of(schema), ...(example === undefined ? {} : { example }) },
    ]),
  );
}

/** `/v1/models/:id{.+}` → `/v1/models/{id}`. */
export const templateOf = (path: string): string => path.replace(/:(\w+)(\{[^}]*\})?/g, '{$1}');

/** JSON schemas of one side of the API, all converted at once in the end, so that they refer to each other. */
class Schemas {
  readonly #io: 'input' | 'output';
  /** Schemas without a name, and the places that wait for them. */
  readonly #inline: { schema: z.ZodType; place: Schema }[] = [];
  readonly #used = new Set<string>();

  constructor(io: 'input' | 'output') {
    this.#io = io;
  }

  /** A reference where the schema has a name; else filled in by `components`. */
  of(schema: z.ZodType): Schema {
    const name = namedSchemas.get(schema);
    if (name !== undefined) return { $ref: this.#use(name) };
    const place: Schema = {};
    this.#inline.push({ schema, place });
    return place;
  }

  /** Those that were referred to, by name. */
  components(): Record<string, Schema> {
    const registry = z.registry<{ id: string }>();
    for (const [schema, id] of namedSchemas) registry.add(schema, { id });
    this.#inline.forEach(({ schema }, index) => {
      registry.add(schema, { id: `inline ${index}` });
    });
    const { schemas } = z.toJSONSchema(registry, {
      io: this.#io,
      unrepresentable: 'any',
      uri: (id) => REFERENCE + id,
    });
    this.#inline.forEach(({ place }, index) => {
      Object.assign(place, this.#plain(schemas[`inline ${index}`]));
    });
    // A set goes on over what is added to it meanwhile.
    const used: [string, Schema][] = [];
    for (const name of this.#used) used.push([name, this.#plain(schemas[name])]);
    return Object.fromEntries(used.sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  #use(name: string): string {
    this.#used.add(name);
    return REFERENCE + name;
  }

  /** Without what says nothing, and with what it refers to noted. */
  #plain(value: unknown): Schema {
    const walk = (each: unknown): unknown => {
      if (Array.isArray(each)) return each.map(walk);
      if (typeof each !== 'object' || each === null) return each;
      const kept: Json = {};
      for (const [key, inner] of Object.entries(each)) {
        if (key === '$schema' || key === '$id') continue;
        if (key === 'minimum' && inner === Number.MIN_SAFE_INTEGER) continue;
        if (key === 'maximum' && inner === Number.MAX_SAFE_INTEGER) continue;
        if (key === '$ref') this.#use(String(inner).slice(REFERENCE.length));
        kept[key] = walk(inner);
      }
      return kept;
    };
    return walk(value) as Schema;
  }
}
