/** Is a wish for a form understood in every field that may carry it, and a bad one refused by that field's name? */

import { expect, test } from 'vitest';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { chatRequest } from '../../../functions/openai/chat-request.ts';
import { completionsRequest } from '../../../functions/openai/completions-request.ts';
import { GrammarKind } from '../../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';

const hello = { model: 'm', messages: [{ role: 'user', content: 'hi' }] };
const ofChat = (body: object) => chatRequest({ ...hello, ...body }).grammar;
const ofCompletion = (body: object) => completionsRequest({ model: 'm', prompt: 'hi', ...body }).grammar;

const schema = { type: 'object', properties: { a: { type: 'string' } } };
const schemaText = JSON.stringify(schema);
const { JSON_OBJECT, JSON_SCHEMA, REGEX, CHOICE, CONTEXT_FREE } = GrammarKind;

const wishes: [object, GrammarKind, string, string][] = [
  [{ response_format: { type: 'json_object' } }, JSON_OBJECT, '', 'response_format'],
  [
    { response_format: { type: 'json_schema', json_schema: { name: 'n', strict: true, schema } } },
    JSON_SCHEMA,
    schemaText,
    'response_format.json_schema.schema',
  ],
  [{ guided_json: schema }, JSON_SCHEMA, schemaText, 'guided_json'],
  [{ guided_json: schemaText }, JSON_SCHEMA, schemaText, 'guided_json'],
  [{ guided_regex: 'a+' }, REGEX, 'a+', 'guided_regex'],
  [{ guided_choice: ['a', 'b'] }, CHOICE, '["a","b"]', 'guided_choice'],
  [{ guided_grammar: 'start: "a"' }, CONTEXT_FREE, 'start: "a"', 'guided_grammar'],
  [{ structured_outputs: { json: schema } }, JSON_SCHEMA, schemaText, 'structured_outputs.json'],
  [{ structured_outputs: { regex: 'a+' } }, REGEX, 'a+', 'structured_outputs.regex'],
  [{ structured_outputs: { choice: ['a'] } }, CHOICE, '["a"]', 'structured_outputs.choice'],
  [{ structured_outputs: { grammar: 'g' } }, CONTEXT_FREE, 'g', 'structured_outputs.grammar'],
  [{ structured_outputs: { json_object: true } }, JSON_OBJECT, '', 'structured_outputs.json_object'],
  [{ nvext: { guided_json: schema } }, JSON_SCHEMA, schemaText, 'nvext.guided_json'],
  [{ nvext: { guided_regex: 'a+' } }, REGEX, 'a+', 'nvext.guided_regex'],
];

test.each(wishes)('%j is a grammar, in chats and completions', (body, kind, text, param) => {
  expect(ofChat(body)).toEqual({ kind, text, param });
  expect(ofCompletion(body)).toEqual({ kind, text, param });
});

test('nothing, null and text are no grammar', () => {
  for (const body of [
    {},
    { response_format: null, guided_json: null },
    { response_format: { type: 'text' } },
  ]) {
    expect([ofChat(body), ofCompletion(body)]).toEqual([null, null]);
  }
});

test('a forced call goes before the form of an answer', () => {
  const tools = [{ type: 'function', function: { name: 'f' } }];
  const body = { tools, tool_choice: 'required', response_format: { type: 'json_object' } };
  expect(ofChat(body)).toMatchObject({ kind: GrammarKind.TOOL_CALL, param: 'tool_choice' });
});

const wrong: [object, string][] = [
  [{ guided_json: '{' }, 'guided_json'],
  [{ guided_json: '[1]' }, 'guided_json'],
  [{ guided_json: { type: 'nothing' } }, 'guided_json.type'],
  [{ guided_json: { $ref: '#' } }, 'guided_json.$ref'],
  [{ guided_json: { enum: ['x'.repeat(LIMITS.grammarBytes)] } }, 'guided_json'],
  [{ guided_regex: '' }, 'guided_regex'],
  [{ guided_regex: 'x'.repeat(LIMITS.grammarBytes + 1) }, 'guided_regex'],
  [{ guided_regex: '\ud800' }, 'guided_regex'],
  [{ guided_choice: [] }, 'guided_choice'],
  [{ guided_choice: ['a', ''] }, 'guided_choice[1]'],
  [{ guided_choice: Array.from({ length: 10_000 }, (_, i) => `${i}`) }, 'guided_choice'],
  [{ structured_outputs: { xml: '<a/>' } }, 'structured_outputs.xml'],
  [{ nvext: { guided_choice: [1] } }, 'nvext.guided_choice[0]'],
  [{ guided_regex: 'a', response_format: { type: 'json_object' } }, 'guided_regex'],
  [{ guided_regex: 'a', nvext: { guided_choice: ['a'] } }, 'nvext.guided_choice'],
  [{ response_format: { type: 'xml' } }, 'response_format.type'],
];

test.each(wrong)('%j is refused by name', (body, param) => {
  for (const read of [ofChat, ofCompletion]) {
    expect(() => read(body)).toThrow(expect.objectContaining({ code: 'invalid_request', param }));
  }
});
