/** Items of a conversation as the messages of a chat template. */
import { expect, test } from 'vitest';
import type { InputItem } from '../../../functions/openai/responses-schema.ts';
import { placed } from '../../../functions/responses/history.ts';
import { messagesOf } from '../../../functions/responses/items.ts';

const messages = (items: InputItem[]) => messagesOf(placed(items));
const call = (call_id: string, name = 'f', args = '{"a":1}'): InputItem => ({
  type: 'function_call',
  call_id,
  name,
  arguments: args,
});
const output = (call_id: string, text: string): InputItem => ({
  type: 'function_call_output',
  call_id,
  output: text,
});
const called = (id: string) => ({ id, type: 'function', function: { name: 'f', arguments: { a: 1 } } });

test('thought, text and calls in a row are one message of the assistant', () => {
  expect(
    messages([
      { role: 'user', content: 'Hi' },
      {
        type: 'reasoning',
        id: 'rs_1',
        summary: [],
        content: [
          { type: 'reasoning_text', text: 'Hm, ' },
          { type: 'reasoning_text', text: 'so.' },
        ],
      },
      { role: 'assistant', content: [{ type: 'output_text', text: 'Let me look.' }] },
      call('c1'),
      call('c2'),
      output('c1', 'one'),
      output('c2', 'two'),
      { type: 'message', role: 'assistant', content: 'Done.' },
    ]),
  ).toEqual([
    { role: 'user', content: 'Hi' },
    {
      role: 'assistant',
      content: 'Let me look.',
      reasoning_content: 'Hm, so.',
      tool_calls: [called('c1'), called('c2')],
    },
    { role: 'tool', tool_call_id: 'c1', content: 'one' },
    { role: 'tool', tool_call_id: 'c2', content: 'two' },
    { role: 'assistant', content: 'Done.' },
  ]);
});

test('two answers in a row stay two, and thoughts belong to what comes behind them', () => {
  expect(
    messages([
      { role: 'assistant', content: 'One.' },
      { role: 'assistant', content: 'Two.' },
      { type: 'reasoning', summary: [{ type: 'summary_text', text: 'Hm.' }] },
      call('c1'),
    ]),
  ).toEqual([
    { role: 'assistant', content: 'One.' },
    { role: 'assistant', content: 'Two.' },
    { role: 'assistant', content: '', reasoning_content: 'Hm.', tool_calls: [called('c1')] },
  ]);
});

test('a refusal is what the assistant said', () => {
  const content = [{ type: 'refusal', refusal: 'No.' }];
  expect(messages([{ role: 'assistant', content }])).toEqual([{ role: 'assistant', content: 'No.' }]);
});

test.each([
  [[output('c1', 'x')], 'input'],
  [[call('c1', 'f', '[1]')], 'input[0].arguments'],
  [[{ role: 'user', content: [{ type: 'input_file', file_id: 'f' }] }], 'input[0].content[0].type'],
  [[{ role: 'user', content: [{ type: 'input_text' }] }], 'input[0].content[0].text'],
  [[{ role: 'user', content: 'half \ud800' }], 'input[0].content'],
] as [InputItem[], string][])('%j is refused, naming %s', (items, param) => {
  expect(() => messages(items)).toThrow(expect.objectContaining({ param }));
});
