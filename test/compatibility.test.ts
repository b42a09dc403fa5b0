/**
 * Is docs/compatibility.md true to what is published and tested? Every field of every request that an engine answers has its
 * row, every row a field, and every cell names tests that are there.
 */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PROJECT_ROOT } from '../cli/paths.ts';
import { openApiDocument } from '../functions/openapi/document.ts';
import type { Schema } from '../functions/openapi/schema-rows.ts';

const text = (path: string) => readFileSync(join(PROJECT_ROOT, path), 'utf8');
const document = openApiDocument();
const { schemas } = document.components;

/** Heading → its table's rows, as cells. */
const sections = new Map(
  text('docs/compatibility.md')
    .split('\n## ')
    .slice(1)
    .map((section) => {
      const [heading = '', ...lines] = section.split('\n');
      const rows = lines.filter((line) => line.startsWith('| ')).slice(1);
      return [heading, rows.map((row) => row.slice(2, -2).split(' | '))] as const;
    }),
);
const tests = new Map(sections.get('Tests')?.map(([key = '', test = '']) => [key, test]));

/** Bodies that are answered by an engine, and are JSON. */
const requests = Object.entries(document.paths).flatMap(([path, { post }]) => {
  const body = post?.requestBody?.content['application/json']?.schema;
  const isInference = /^\/(v1|tokenize|detokenize|router)\b/.test(path);
  return body && isInference ? [[`POST ${path}`, propertiesOf(body)] as const] : [];
});
const nvext = schemas['ChatCompletionRequest']?.properties?.['nvext'];
const grids = new Map([...requests, ['nvext', propertiesOf(nvext!)] as const]);

function propertiesOf(schema: Schema): string[] {
  const { $ref } = schema;
  const meant = $ref === undefined ? schema : schemas[$ref.slice($ref.lastIndexOf('/') + 1)];
  const object = [meant, ...(meant?.anyOf ?? [])].find((form) => form?.properties !== undefined);
  return Object.keys(object?.properties ?? {});
}

describe('the page of compatibility', () => {
  it('has a section for every request', () => {
    expect([...sections.keys()].sort()).toEqual([...grids.keys(), 'Tests'].sort());
  });

  it.each([...grids])('has a row for every field of %s, and no other', (heading, fields) => {
    const rows = sections.get(heading)?.map(([field = '']) => field.slice(1, -1));
    expect(rows?.sort(), 'docs/compatibility.md').toEqual([...fields].sort());
  });

  it('says in every cell what an engine does with the field, and by which tests', () => {
    const used = new Set<string>();
    for (const heading of grids.keys()) {
      for (const [field, ...cells] of sections.get(heading)!) {
        expect(cells, `${heading} ${field}`).toHaveLength(2);
        for (const cell of cells) {
          const [, keys = ''] = /^(?:yes|no effect|refused) · (.+)$/.exec(cell) ?? [];
          for (const key of keys.split(', ')) {
            expect([...tests.keys()], `${heading} ${field}: ${cell}`).toContain(key);
            used.add(key);
          }
        }
      }
    }
    expect([...tests.keys()].filter((key) => !used.has(key))).toEqual([]);
  });

  it('names tests that are there', () => {
    const missing = [...tests.values()].filter((test) => {
      const [, file = '', title = ''] = /^`([^`]+)`: (.+)$/.exec(test) ?? [];
      return !existsSync(join(PROJECT_ROOT, file)) || !text(file).includes(title);
    });
    expect(missing).toEqual([]);
  });
});
