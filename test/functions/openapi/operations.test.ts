/** The published document says what is served, no more and no less. */

import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { app } from '../../../functions/app.ts';
import { openApiDocument, templateOf } from '../../../functions/openapi/document.ts';
import { OPERATIONS } from '../../../functions/openapi/operations.ts';

const routes = app.routes
  .filter(({ method }) => method !== 'ALL')
  .map(({ method, path }) => `${method} ${path}`);
const operations = OPERATIONS.map(({ method, path }) => `${method.toUpperCase()} ${path}`);
const document = openApiDocument();

describe('the table of operations', () => {
  it('has a row for every route', () => {
    const missing = routes.filter((route) => !operations.includes(route));
    const what =
      'routes of functions/app.ts without a row: add it to a table of functions/openapi/*-operations.ts';
    expect(missing, what).toEqual([]);
  });

  it('has no row without a route', () => {
    expect(operations.filter((operation) => !routes.includes(operation))).toEqual([]);
  });

  it('names each operation once', () => {
    const ids = OPERATIONS.map(({ id }) => id);
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
    expect(operations.filter((each, index) => operations.indexOf(each) !== index)).toEqual([]);
  });

  it('has an example that its own schema takes, for every body that is JSON', () => {
    for (const { id, request, example } of OPERATIONS) {
      const schema = request?.['application/json'];
      if (schema === undefined) continue;
      expect(schema.safeParse(example).error?.issues ?? [], id).toEqual([]);
    }
  });
});

describe('the document', () => {
  it('refers only to components that are there, and has none that nobody refers to', () => {
    const text = JSON.stringify(document);
    const used = new Set([...text.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map((match) => match[1]));
    expect(Object.keys(document.components.schemas).sort()).toEqual([...used].sort());
    expect(text).not.toContain('$defs');
  });

  it('has schemas that a validator of JSON schema 2020-12 takes, strictly', () => {
    const ajv = new Ajv2020({ strict: true, strictRequired: false, allowUnionTypes: true });
    for (const schema of Object.values(document.components.schemas)) {
      expect(ajv.validateSchema(schema), ajv.errorsText()).toBe(true);
    }
  });

  it('describes requests as they may be sent: with the bounds, null where a field may be null', () => {
    const chat = document.components.schemas['ChatCompletionRequest'];
    expect(chat?.required).toEqual(['model', 'messages']);
    expect(chat?.properties?.['temperature']).toEqual({
      anyOf: [{ type: 'number', minimum: 0, maximum: 2 }, { type: 'null' }],
    });
  });

  it('describes answers without room for fields that are not said', () => {
    expect(document.components.schemas['ChatCompletion']?.additionalProperties).toBe(false);
  });

  it('writes parameters of a path as OpenAPI does', () => {
    expect(templateOf('/v1/models/:id{.+}')).toBe('/v1/models/{id}');
    expect(document.paths['/v1/models/{id}']?.['get']?.parameters?.[0]).toMatchObject({
      name: 'id',
      in: 'path',
    });
  });
});
