/** Lines of input files: what is a request, and what is wrong with those that are none. */

import { expect, test } from 'vitest';
import { parseInputLine } from '../../../durable/batches/input-line.ts';

const URL = '/v1/completions';
const good = { custom_id: 'a', method: 'POST', url: URL, body: { model: 'm', prompt: 'p' } };

test('a request is its name and its body', () => {
  expect(parseInputLine(JSON.stringify(good), URL)).toEqual({ customId: 'a', body: good.body });
});

test.each([
  ['{', 'invalid_json_line', null],
  ['[]', 'invalid_json_line', null],
  ['null', 'invalid_json_line', null],
  [{ ...good, custom_id: 5 }, 'missing_required_parameter', 'custom_id'],
  [{ ...good, custom_id: '' }, 'missing_required_parameter', 'custom_id'],
  [{ ...good, custom_id: 'x'.repeat(600) }, 'invalid_custom_id', 'custom_id'],
  [{ ...good, method: 'GET' }, 'invalid_method', 'method'],
  [{ ...good, url: '/v1/embeddings' }, 'invalid_url', 'url'],
  [{ ...good, body: 'text' }, 'missing_required_parameter', 'body'],
  [{ ...good, body: {} }, 'missing_required_parameter', 'body.model'],
  [{ ...good, body: { model: 'm', stream: true } }, 'unsupported_parameter', 'body.stream'],
])('%j is told as %s', (line, code, param) => {
  const text = typeof line === 'string' ? line : JSON.stringify(line);
  expect(parseInputLine(text, URL)).toMatchObject({ code, param });
});
