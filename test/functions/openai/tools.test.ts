/** Tools and forms of the answer: what is broken is named, what is right reaches template and worker. */

import { expect, test } from 'vitest';
import { chatRequest } from '../../../functions/openai/chat-request.ts';
import { GrammarKind } from '../../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';

const hello = { model: 'm', messages: [{ role: 'user', content: 'hi' }] };
const tool = (parameters?: unknown, name = 'f') => ({ type: 'function', function: { name, parameters } });
const nested = (levels: number): unknown => (levels === 0 ? {} : { properties: { a: nested(levels - 1) } });
const deep = (levels: number): unknown => (levels === 0 ? 1 : [deep(levels - 1)]);
const assistant = (given: unknown) => ({
  role: 'assistant',
  tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: given } }],
});
const PARAMETERS = 'tools[0].function.parameters';

const wrong: [string, object, string][] = [
  ['tools that are no list', { tools: {} }, 'tools'],
  ['a tool that is no object', { tools: ['f'] }, 'tools[0]'],
  ['a tool of another type', { tools: [{ type: 'web_search' }] }, 'tools[0].type'],
  ['a tool without a function', { tools: [{ type: 'function' }] }, 'tools[0].function'],
  ['a name with a blank', { tools: [tool({}, 'a b')] }, 'tools[0].function.name'],
  ['two tools of one name', { tools: [tool(), tool()] }, 'tools[1].function.name'],
  ['129 tools', { tools: Array.from({ length: 129 }, (_, i) => tool({}, `f${i}`)) }, 'tools'],
  ['a schema that is a list', { tools: [tool([])] }, PARAMETERS],
  ['a type that there is not', { tools: [tool({ type: 'text' })] }, `${PARAMETERS}.type`],
  [
    'a broken schema inside',
    { tools: [tool({ properties: { a: { items: { type: 5 } } } })] },
    `${PARAMETERS}.properties.a.items.type`,
  ],
  ['properties that are a list', { tools: [tool({ properties: [] })] }, `${PARAMETERS}.properties`],
  ['required that is a word', { tools: [tool({ required: 'a' })] }, `${PARAMETERS}.required`],
  ['an empty enum', { tools: [tool({ enum: [] })] }, `${PARAMETERS}.enum`],
  ['a schema of schemas that is no list', { tools: [tool({ anyOf: {} })] }, `${PARAMETERS}.anyOf`],
  [
    'a schema that is only itself',
    { tools: [tool({ properties: { a: { anyOf: [{ $ref: '#/properties/a' }] } } })] },
    `${PARAMETERS}.properties.a.anyOf[0].$ref`,
  ],
  ['a reference to elsewhere', { tools: [tool({ $ref: 'http://x/y' })] }, `${PARAMETERS}.$ref`],
  ['a reference to nothing', { tools: [tool({ $ref: '#/$defs/a' })] }, `${PARAMETERS}.$ref`],
  ['a schema 65 levels deep', { tools: [tool(nested(66))] }, PARAMETERS],
  ['a tool nested out of reason', { tools: [tool({ default: deep(300) })] }, 'tools'],
  ['documents nested out of reason', { documents: [{ text: deep(300) }] }, 'documents'],
  ['a choice among no tools', { tool_choice: 'required' }, 'tool_choice'],
  ['a choice that there is not', { tools: [tool()], tool_choice: 'perhaps' }, 'tool_choice'],
  [
    'the choice of a tool that is not there',
    { tools: [tool()], tool_choice: { type: 'function', function: { name: 'g' } } },
    'tool_choice.function.name',
  ],
  ['parallel calls as a number', { tools: [tool()], parallel_tool_calls: 1 }, 'parallel_tool_calls'],
  [
    'a past call with broken arguments',
    { messages: [assistant('{')] },
    'messages[0].tool_calls[0].function.arguments',
  ],
  [
    'a past call with a list of arguments',
    { messages: [assistant('[]')] },
    'messages[0].tool_calls[0].function.arguments',
  ],
  ['a form that there is not', { response_format: { type: 'xml' } }, 'response_format.type'],
  [
    'a schema form without a schema',
    { response_format: { type: 'json_schema' } },
    'response_format.json_schema',
  ],
  [
    'a form with a broken schema',
    { response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { type: 'int' } } } },
    'response_format.json_schema.schema.type',
  ],
  ['metadata that is a word', { metadata: 'x' }, 'metadata'],
  ['store as a word', { store: 'yes' }, 'store'],
];

test.each(wrong)('%s is refused by name', (_, body, param) => {
  expect(() => chatRequest({ ...hello, ...body })).toThrow(
    expect.objectContaining({ code: 'invalid_request', param }),
  );
});

test('tools go to the template and to the worker; with the choice "none" to neither', () => {
  const tools = [
    tool({ type: 'object', properties: { a: { type: ['string', 'null'] } }, additionalProperties: false }),
  ];
  const request = chatRequest({ ...hello, tools, parallel_tool_calls: false });
  expect(request.tools).toEqual({ tools, one: true });
  expect(request.prompt).toMatchObject({ extras: { tools } });
  expect(request.grammar).toBeNull();
  const none = chatRequest({ ...hello, tools, tool_choice: 'none' });
  expect([none.tools, none.prompt]).toEqual([null, expect.objectContaining({ extras: null })]);
});

test('earlier calls and their results are part of the conversation', () => {
  const messages = [assistant('{"city": "Ulm"}'), { role: 'tool', tool_call_id: 'c', content: 'rain' }];
  expect(chatRequest({ ...hello, messages }).prompt).toEqual({
    kind: 'messages',
    messages: [
      {
        role: 'assistant',
        content: '',
        tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: { city: 'Ulm' } } }],
      },
      { role: 'tool', content: 'rain', tool_call_id: 'c' },
    ],
    extras: null,
  });
});

test('forms of the answer are a grammar; text is none', () => {
  const grammarOf = (body: object) => chatRequest({ ...hello, ...body }).grammar;
  const schema = {
    type: 'object',
    properties: { a: { $ref: '#/$defs/x' } },
    $defs: { x: { type: 'string' } },
  };
  expect(grammarOf({ response_format: { type: 'text' } })).toBeNull();
  expect(grammarOf({ response_format: { type: 'json_object' } })).toEqual({
    kind: GrammarKind.JSON_OBJECT,
    text: '',
    param: 'response_format',
  });
  expect(grammarOf({ response_format: { type: 'json_schema', json_schema: { name: 'x', schema } } })).toEqual(
    {
      kind: GrammarKind.JSON_SCHEMA,
      text: JSON.stringify(schema),
      param: 'response_format.json_schema.schema',
    },
  );
  expect(grammarOf({ tools: [tool()], tool_choice: 'required' })).toEqual({
    kind: GrammarKind.TOOL_CALL,
    text: '',
    param: 'tool_choice',
  });
  const named = { type: 'function', function: { name: 'f' } };
  expect(grammarOf({ tools: [tool()], tool_choice: named })).toEqual({
    kind: GrammarKind.TOOL_CALL,
    text: 'f',
    param: 'tool_choice',
  });
});

test('a schema may contain itself, and be referred to as often as one likes', () => {
  const doubled = (level: number) => [
    `d${level}`,
    { properties: { a: { $ref: `#/$defs/d${level + 1}` }, b: { $ref: `#/$defs/d${level + 1}` } } },
  ];
  const $defs = {
    ...Object.fromEntries(Array.from({ length: 30 }, (_, i) => doubled(i))),
    d30: { $ref: '#' },
  };
  const parameters = {
    type: 'object',
    properties: { next: { $ref: '#' }, d: { $ref: '#/$defs/d0' } },
    $defs,
  };
  expect(chatRequest({ ...hello, tools: [tool(parameters)] }).tools).toMatchObject({ one: false });
});

test('what only OpenAI understands is accepted', () => {
  const body = { ...hello, user: 'me', metadata: { a: 'b' }, store: true, service_tier: 'auto' };
  expect(chatRequest(body).model).toBe('m');
});
