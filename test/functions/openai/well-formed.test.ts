/** Lone surrogates, wherever text may stand. */

import { expect, test } from 'vitest';
import { chatRequest } from '../../../functions/openai/chat-request.ts';
import { completionsRequest } from '../../../functions/openai/completions-request.ts';

const half = 'a\ud83d';
const hello = { model: 'm', messages: [{ role: 'user', content: 'hi \u{1f600}' }] };

test.each([
  ['messages[0].content', { messages: [{ role: 'user', content: half }] }],
  ['messages[0].name', { messages: [{ role: 'user', content: 'x', name: half }] }],
  ['stop', { stop: half }],
  ['stop[1]', { stop: ['x', half] }],
  ['tools', { tools: [{ type: 'function', function: { name: 'f', description: half } }] }],
  ['documents', { documents: [{ text: half }] }],
])('half a character in %s is refused by name', (param, body) => {
  expect(() => chatRequest({ ...hello, ...body })).toThrow(
    expect.objectContaining({ code: 'invalid_request', param }),
  );
});

test('and in a prompt; whole ones pass', () => {
  expect(() => completionsRequest({ model: 'm', prompt: half })).toThrow(
    expect.objectContaining({ param: 'prompt' }),
  );
  expect(chatRequest(hello).prompt).toMatchObject({ messages: hello.messages });
});
