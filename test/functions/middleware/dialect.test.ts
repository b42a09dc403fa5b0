/** Whose words a request is answered in. */

import { expect, test } from 'vitest';
import { apiOfRequest } from '../../../functions/middleware/dialect.ts';

test.each([
  ['/v1/messages', {}, 'anthropic'],
  ['/v1/messages/count_tokens', {}, 'anthropic'],
  ['/v1/messages/unknown', {}, 'anthropic'],
  ['/v1/messagesx', {}, 'openai'],
  ['/v1/chat/completions', { 'anthropic-version': '2023-06-01' }, 'openai'],
  ['/v1/models', {}, 'openai'],
  ['/v1/models', { 'anthropic-version': '2023-06-01' }, 'anthropic'],
  ['/v1/models/some', { 'anthropic-version': '2023-06-01' }, 'anthropic'],
])('%s with the headers %o is for %s', (path, headers: Record<string, string>, api) => {
  expect(apiOfRequest({ path, header: (name) => headers[name] })).toBe(api);
});
