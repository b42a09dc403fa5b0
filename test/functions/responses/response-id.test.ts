/** Ids of responses name their object, ids of items their response and place. */
import { expect, test } from 'vitest';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { ownItems } from '../../../functions/responses/history.ts';
import { newResponseId, objectOf, placeOf } from '../../../functions/responses/response-id.ts';

const UUID = '0198c6a2-7b1e-7abc-9def-0123456789ab';

test('a new conversation gets an object by chance, a continued one keeps its own', () => {
  const id = newResponseId(UUID, null);
  expect(id).toMatch(/^resp_[0-9a-f]{34}$/);
  expect(objectOf(id)).toBe(0x456789ab % LIMITS.conversationObjects);
  expect(objectOf(newResponseId(UUID, 3))).toBe(3);
});

test.each([
  '',
  'resp_',
  'resp_1',
  `chatcmpl-${'0'.repeat(34)}`,
  `resp_ff${'0'.repeat(32)}`,
  `resp_00${'0'.repeat(33)}`,
])('%j is no id of a stored response', (id) => expect(objectOf(id)).toBeNull());

test('items of the input and of the output are found by their ids', () => {
  const responseId = newResponseId(UUID, 1);
  const hex = responseId.slice('resp_'.length);
  const [, second] = ownItems(
    [
      { role: 'user', content: 'a' },
      { type: 'function_call_output', call_id: 'c', output: 'b' },
    ],
    responseId,
  );
  expect(placeOf((second as { id: string }).id)).toEqual({ responseId, isInput: true, index: 1 });
  expect(placeOf(`msg_${hex}_2`)).toEqual({ responseId, isInput: false, index: 2 });
  for (const id of ['', 'msg_1', `msg_${hex}`, `msg_${hex}_`, `msg_${hex}_x2`])
    expect(placeOf(id)).toBeNull();
});

test('ids that the client gave stay, references are left alone, texts become parts', () => {
  expect(
    ownItems(
      [
        { role: 'user', content: 'a', id: 'mine' },
        { type: 'item_reference', id: 'msg_2' },
      ],
      newResponseId(UUID, 1),
    ),
  ).toEqual([
    {
      type: 'message',
      id: 'mine',
      role: 'user',
      content: [{ type: 'input_text', text: 'a' }],
      status: 'completed',
    },
    { type: 'item_reference', id: 'msg_2' },
  ]);
});
