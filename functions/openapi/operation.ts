/**
 * What an operation of the HTTP API is, as data: the row that each route of `app.ts` has in a table of this folder.
 *
 * The zod schemas are the ones that validate (requests) and that the answers of the end-to-end tests are held against
 * (answers); `document.ts` makes the OpenAPI document of them. A schema that `named` gave a name becomes a component.
 */
import * as z from 'zod';

/** Schema by media type; of `text/event-stream` it is what the `data:` of one event holds, `[DONE]` apart. */
export type Content = Readonly<Record<string, z.ZodType>>;

export interface Answer {
  description: string;
  /** Absent: no body. */
  content?: Content;
}

/** What operations are about, in the order of the reference: what people call, then what belongs to the fleet. */
export const TAGS = ['OpenAI', 'Anthropic', 'Tokens', 'Router', 'Components', 'Planner', 'Platform'] as const;

export interface ApiOperation {
  method: 'get' | 'post' | 'put' | 'delete' | 'patch';
  /** As `app.ts` registers it: `/v1/models/:id{.+}`. */
  path: string;
  /** `operationId`. */
  id: string;
  /** Its heading on the page. */
  tag: (typeof TAGS)[number];
  summary: string;
  /** What the summary cannot hold. */
  description?: string;
  /** `api-key`: the key of this deployment, where it has one. */
  access?: 'api-key' | 'fleet-token' | 'api-key-or-fleet-token' | 'open';
  query?: Readonly<Record<string, z.ZodType>>;
  /** Request headers that mean something; values are strings. */
  headers?: Readonly<Record<string, string>>;
  request?: Content;
  /** A body that works as it stands with a model that is called `stator-tiny`. */
  example?: unknown;
  /** By status. Errors of 4xx and 5xx are added to them. */
  answers: Readonly<Record<number, Answer>>;
  /** Body of the errors; null: there is none to speak of. */
  errors?: z.ZodType | null;
}

const names = new Map<z.ZodType, string>();

/** The schemas that are components of the document, with their names. */
export const namedSchemas: ReadonlyMap<z.ZodType, string> = names;

/** Gives a schema its name among the components. */
export function named<T extends z.ZodType>(name: string, schema: T): T {
  names.set(schema, name);
  return schema;
}

/** Bytes and texts that no schema describes. */
export const opaque = z.string();
