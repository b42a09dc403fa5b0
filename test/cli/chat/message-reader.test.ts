/** Messages from a keyboard or a pipe, through readline on streams that stand for a terminal. */

import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { MessageReader, type Read } from '../../../cli/chat/message-reader.ts';

function keyboard(isTTY: boolean) {
  const modes: boolean[] = [];
  const input = Object.assign(new PassThrough(), { isTTY, setRawMode: (on: boolean) => modes.push(on) });
  const output = new PassThrough();
  return { input, modes, reader: new MessageReader(input, output) };
}

const message = (text: string): Read => ({ kind: 'message', text });
const PASTE = (text: string) => `\x1b[200~${text}\x1b[201~`;

test.each([
  ['a line', 'hello\n', 'hello'],
  ['a backslash at the end of a line', 'one\\\ntwo\n', 'one\ntwo'],
  ['three quotes around lines', '"""\none\n  two\n"""\n', 'one\n  two\n'],
  ['three quotes around words', '"""one two"""\n', 'one two'],
  ['three quotes that begin and end in lines of words', '"""one\ntwo"""\n', 'one\ntwo'],
])('a pipe: %s', async (_name, typed, text) => {
  const { input, reader } = keyboard(false);
  input.end(typed);
  expect(await reader.next()).toEqual(message(text));
  expect(await reader.next()).toEqual({ kind: 'end' });
});

test('a pipe that ends inside a message has said it', async () => {
  const { input, reader } = keyboard(false);
  input.end('one\n"""\ntwo');
  expect(await reader.next()).toEqual(message('one'));
  expect(await reader.next()).toEqual(message('two'));
  expect(await reader.next()).toEqual({ kind: 'end' });
});

test('a terminal: a paste of several lines is one message, sent with Enter', async () => {
  const { input, reader } = keyboard(true);
  const read = reader.next();
  input.write(PASTE('one\rtwo'));
  input.write(' three\r');
  expect(await read).toEqual(message('one\ntwo three'));
  reader.close();
});

test('a terminal is raw only while a message is awaited', async () => {
  const { input, modes, reader } = keyboard(true);
  const read = reader.next();
  expect(modes.at(-1)).toBe(true);
  input.write('hi\r');
  await read;
  expect(modes.at(-1)).toBe(false);
  reader.close();
});

test('Ctrl-C throws away what is typed; at an empty prompt it is told', async () => {
  const { input, reader } = keyboard(true);
  const read = reader.next();
  input.write('half a thought\x03');
  input.write('another\r');
  expect(await read).toEqual(message('another'));
  const next = reader.next();
  input.write('\x03');
  expect(await next).toEqual({ kind: 'interrupted' });
  reader.close();
});

test('Ctrl-D at an empty prompt is the end', async () => {
  const { input, reader } = keyboard(true);
  const read = reader.next();
  input.write('\x04');
  expect(await read).toEqual({ kind: 'end' });
});

test('messages typed ahead wait for their turn', async () => {
  const { input, reader } = keyboard(true);
  const first = reader.next();
  input.write('one\rtwo\r');
  expect(await first).toEqual(message('one'));
  expect(await reader.next()).toEqual(message('two'));
  reader.close();
});
