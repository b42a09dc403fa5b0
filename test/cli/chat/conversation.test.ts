/** Lines of `stator chat`: which are messages, which commands. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { exchanged, messagesOf, readInput } from '../../../cli/chat/conversation.ts';

test.each([
  ['hello', { kind: 'say', text: 'hello' }],
  ['  ', { kind: 'nothing' }],
  ['/help', { kind: 'help' }],
  ['/?', { kind: 'help' }],
  ['/bye', { kind: 'exit' }],
  ['/system You are terse. ', { kind: 'system', words: 'You are terse.' }],
  ['/model', { kind: 'model', words: '' }],
  ['/usr/bin is a folder', { kind: 'unknown', command: 'usr/bin' }],
  ['//usr/bin is a folder', { kind: 'say', text: '/usr/bin is a folder' }],
  ['/help\nis the first of two lines', { kind: 'say', text: '/help\nis the first of two lines' }],
])('%j', (line, input) => {
  expect(readInput(line)).toEqual(input);
});

test('what is no command is said as it was typed, but for white space around it', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      fc.pre(text.trim() !== '' && !text.trim().startsWith('/'));
      expect(readInput(text)).toEqual({ kind: 'say', text: text.trim() });
    }),
  );
});

test('the model is sent the system prompt and all that was said, in order', () => {
  const begun = exchanged({ model: 'm', system: 'be kind', messages: [] }, 'hi', 'hello');
  expect(messagesOf(begun).map(({ role }) => role)).toEqual(['system', 'user', 'assistant']);
  expect(messagesOf({ ...begun, system: '' }).map(({ content }) => content)).toEqual(['hi', 'hello']);
});
