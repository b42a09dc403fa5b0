/** Anthropic's bodies become inference requests, or errors that name the field in its words. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { StatorError } from '../../../durable/runtime/errors.ts';
import { countTokensRequest, messagesRequest } from '../../../functions/anthropic/messages-request.ts';
import { GrammarKind } from '../../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';

const hello = { model: 'm', max_tokens: 10, messages: [{ role: 'user', content: 'hi' }] };
const tool = { name: 'f', description: 'does', input_schema: { type: 'object', properties: {} } };
const use = (id: string, input: object = {}) => ({ type: 'tool_use', id, name: 'f', input });
const result = (id: string, content?: unknown) => ({ type: 'tool_result', tool_use_id: id, content });

const promptOf = (body: object) => {
  const { prompt } = messagesRequest({ ...hello, ...body });
  if (prompt.kind !== 'messages') throw new Error('no messages');
  return prompt;
};
const messagesOf = (messages: unknown, others: object = {}) => promptOf({ messages, ...others }).messages;

/** What a body is refused with. */
function refusal(body: object): { message: string; param: string | null; code: string } {
  try {
    messagesRequest({ ...hello, ...body });
  } catch (thrown) {
    const { message, param, code } = thrown as StatorError;
    return { message, param, code };
  }
  throw new Error('it was taken');
}

test("Anthropic's defaults", () => {
  expect(messagesRequest(hello)).toEqual({
    model: 'm',
    prompt: {
      kind: 'messages',
      messages: [{ role: 'user', content: 'hi' }],
      continuesLast: false,
      extras: null,
    },
    sampling: {
      temperature: 1,
      topP: 1,
      topK: 0,
      minP: 0,
      seed: null,
      presencePenalty: 0,
      frequencyPenalty: 0,
      repetitionPenalty: 1,
      logitBias: [],
      n: 1,
      topLogprobs: null,
    },
    stop: {
      maxTokens: 10,
      maxTokensShrink: true,
      minTokens: 0,
      stop: [],
      stopTokenIds: [],
      ignoreEos: false,
    },
    stream: false,
    includeUsage: true,
    echo: false,
    priority: 0,
    agentHints: null,
    tools: null,
    grammar: null,
    routing: null,
  });
});

test('what a client may say is heard', () => {
  const request = messagesRequest({
    ...hello,
    temperature: 0.5,
    top_p: 0.9,
    top_k: 7,
    stop_sequences: ['a', 'b'],
    stream: true,
    metadata: { user_id: 'someone' },
    service_tier: 'auto',
    priority: 3,
    cache_salt: 'salt',
    nvext: { agent_hints: { priority: 5 } },
    context_management: { edits: [] },
    betas: ['some'],
  });
  expect(request.sampling).toMatchObject({ temperature: 0.5, topP: 0.9, topK: 7 });
  expect(request).toMatchObject({
    stop: { stop: ['a', 'b'] },
    stream: true,
    priority: 3,
    routing: { cacheNamespace: 'salt' },
    agentHints: { priority: 5 },
  });
});

describe('the conversation', () => {
  test('begins with the system, said as text or in blocks', () => {
    const blocks = [
      { type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral', ttl: '1h' } },
      { type: 'text', text: 'Be kind.' },
    ];
    const [first] = messagesOf(hello.messages, { system: blocks });
    expect(first).toEqual({ role: 'system', content: 'Be brief.\nBe kind.' });
    expect(messagesOf(hello.messages, { system: 'Short.' })[0]).toEqual({
      role: 'system',
      content: 'Short.',
    });
    expect(messagesOf(hello.messages, { system: [] })).toHaveLength(1);
  });

  test('has turns of one role in a row as one turn', () => {
    const said = [
      { role: 'user', content: 'one' },
      { role: 'user', content: [{ type: 'text', text: 'two' }] },
      { role: 'assistant', content: 'three' },
      { role: 'assistant', content: [{ type: 'text', text: 'four' }] },
      { role: 'user', content: 'five' },
    ];
    expect(messagesOf(said)).toEqual([
      { role: 'user', content: 'one\ntwo' },
      { role: 'assistant', content: 'three\nfour' },
      { role: 'user', content: 'five' },
    ]);
  });

  test('has calls, their results and thinking where templates look for them', () => {
    const said = [
      { role: 'user', content: 'weather?' },
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: 'hm', signature: 's' },
          { type: 'redacted_thinking', data: 'xx' },
          { type: 'text', text: 'Let me look.' },
          use('a', { city: 'Ulm' }),
          use('b'),
        ],
      },
      {
        role: 'user',
        content: [
          result('a', [
            { type: 'text', text: '20' },
            { type: 'text', text: 'degrees' },
          ]),
          { ...result('b', 'none'), is_error: true },
          { type: 'text', text: 'And now?', cache_control: { type: 'ephemeral' } },
        ],
      },
    ];
    expect(messagesOf(said)).toEqual([
      { role: 'user', content: 'weather?' },
      {
        role: 'assistant',
        content: 'Let me look.',
        reasoning_content: 'hm',
        tool_calls: [
          { id: 'a', type: 'function', function: { name: 'f', arguments: { city: 'Ulm' } } },
          { id: 'b', type: 'function', function: { name: 'f', arguments: {} } },
        ],
      },
      { role: 'tool', tool_call_id: 'a', content: '20\ndegrees' },
      { role: 'tool', tool_call_id: 'b', content: 'none' },
      { role: 'user', content: 'And now?' },
    ]);
  });

  test('says of a result that failed without a word that it failed', () => {
    const contentOf = (given: object) =>
      messagesOf([
        ...hello.messages,
        { role: 'assistant', content: [use('a')] },
        { role: 'user', content: [given] },
      ]).at(-1)?.content;
    expect(contentOf({ ...result('a'), is_error: true })).toBe('error');
    expect(contentOf(result('a'))).toBe('');
  });

  test('that ends with the assistant is gone on with', () => {
    const said = [...hello.messages, { role: 'assistant', content: 'It is' }];
    expect(promptOf({ messages: said })).toMatchObject({ continuesLast: true });
    const empty = [...hello.messages, { role: 'assistant', content: '' }];
    expect(promptOf({ messages: empty })).toMatchObject({ continuesLast: false });
    expect(refusal({ messages: [...hello.messages, { role: 'assistant', content: 'It is ' }] }).message).toBe(
      'messages: final assistant content cannot end with trailing whitespace',
    );
  });

  test('may have the system speak between turns', () => {
    const said = [...hello.messages, { role: 'system', content: 'Hurry.' }];
    expect(messagesOf(said).at(-1)).toEqual({ role: 'system', content: 'Hurry.' });
  });

  test.each([
    [[], 'messages: at least one message is required'],
    [
      [{ role: 'user', content: '' }],
      'messages.0: all messages must have non-empty content except for the optional final assistant message',
    ],
    [
      [{ role: 'user', content: [{ type: 'text', text: '' }] }],
      'messages.0.content.0: text content blocks must be non-empty',
    ],
    [[{ role: 'user', content: [result('a')] }], /^messages\.0\.content\.0: unexpected `tool_use_id`/],
    [
      [...hello.messages, { role: 'assistant', content: [use('a')] }],
      'messages: `tool_use` ids without `tool_result` blocks immediately after: a',
    ],
    [
      [
        ...hello.messages,
        { role: 'assistant', content: [use('a'), use('b')] },
        { role: 'user', content: [result('a')] },
      ],
      'messages: `tool_use` ids without `tool_result` blocks immediately after: b',
    ],
    [
      [{ role: 'user', content: [use('a')] }],
      'messages.0.content.0: `tool_use` blocks can only be in `assistant` messages',
    ],
    [
      [{ role: 'assistant', content: [result('a')] }],
      /^messages\.0\.content\.0: `tool_result` blocks can only/,
    ],
    [[{ role: 'user', content: '\ud800' }], /messages\.0\.content.*surrogate/],
    [[{ role: 'robot', content: 'x' }], /^messages\.0\.role: /],
    [[{ role: 'user' }], 'messages.0.content: Field required'],
    [[{ role: 'user', content: [{ type: 'noise' }] }], /^messages\.0\.content\.0\.type: /],
    [[{ role: 'user', content: 7 }], /^messages\.0\.content: /],
  ])('%j is refused', (messages, message) => {
    const refused = refusal({ messages });
    expect(refused.message).toMatch(message);
    expect(refused.code).toBe('invalid_request');
  });

  test.each(['image', 'document', 'search_result'])('has no %s, neither itself nor in a result', (type) => {
    const block = { type, source: { type: 'url', url: 'http://127.0.0.1/' } };
    expect(refusal({ messages: [{ role: 'user', content: [block] }] })).toMatchObject({
      code: 'unsupported_parameter',
      param: 'messages.0.content.0.type',
    });
    const said = [
      ...hello.messages,
      { role: 'assistant', content: [use('a')] },
      { role: 'user', content: [result('a', [block])] },
    ];
    expect(refusal({ messages: said })).toMatchObject({
      code: 'unsupported_parameter',
      param: 'messages.2.content.0.content.0.type',
    });
  });
});

describe('tools', () => {
  const made = {
    type: 'function',
    function: { name: 'f', description: 'does', parameters: tool.input_schema },
  };

  test("are the template's and the parser's, in OpenAI's form", () => {
    const request = messagesRequest({ ...hello, tools: [{ ...tool, type: 'custom', cache_control: null }] });
    expect(request.tools).toEqual({ tools: [made], one: false });
    expect(request.prompt).toMatchObject({ extras: { tools: [made] } });
    expect(request.grammar).toBeNull();
  });

  test.each([
    [{ type: 'auto' }, { one: false }, null],
    [{ type: 'auto', disable_parallel_tool_use: true }, { one: true }, null],
    [{ type: 'any' }, { one: false }, { kind: GrammarKind.TOOL_CALL, text: '', param: 'tool_choice' }],
    [
      { type: 'tool', name: 'f', disable_parallel_tool_use: true },
      { one: true },
      { kind: GrammarKind.TOOL_CALL, text: 'f', param: 'tool_choice' },
    ],
    [{ type: 'none' }, null, null],
  ])('may be chosen by %j', (tool_choice, tools, grammar) => {
    const request = messagesRequest({ ...hello, tools: [tool], tool_choice });
    if (tools === null) expect(request.tools).toBeNull();
    else expect(request.tools).toMatchObject(tools);
    expect(request.grammar).toEqual(grammar);
  });

  test.each([
    [{ tools: [{ ...tool, type: 'web_search_20250305' }] }, 'tools.0.type'],
    [{ tools: [{ name: 'f' }] }, 'tools.0.input_schema'],
    [{ tools: [{ ...tool, name: 'f g' }] }, 'tools.0.name'],
    [{ tools: [tool, tool] }, 'tools.1.name'],
    [{ tools: [{ ...tool, input_schema: { type: 'nonsense' } }] }, 'tools.0.input_schema.type'],
    [{ tools: Array.from({ length: 129 }, (_, at) => ({ ...tool, name: `f${at}` })) }, 'tools'],
    [{ tools: [tool], tool_choice: { type: 'tool', name: 'g' } }, 'tool_choice.name'],
    [{ tools: [tool], tool_choice: { type: 'some' } }, 'tool_choice.type'],
    [{ tools: [tool], tool_choice: 'auto' }, 'tool_choice'],
    [{ tool_choice: { type: 'any' } }, 'tool_choice'],
  ])('%j is refused', (body, param) => {
    expect(refusal(body).param).toBe(param);
    expect(refusal(body).message).toContain(param);
  });
});

test.each([
  [{ type: 'enabled', budget_tokens: 1024 }, true],
  [{ type: 'adaptive', display: 'omitted' }, true],
  [{ type: 'disabled' }, false],
])('thinking %j switches the template', (thinking, on) => {
  const { extras } = promptOf({ thinking, max_tokens: 2000 });
  expect(extras).toEqual({ switches: { enable_thinking: on, thinking: on } });
});

test('an output format is a grammar for the workers', () => {
  const schema = { type: 'object', properties: { a: { type: 'integer' } } };
  const { grammar } = messagesRequest({
    ...hello,
    output_config: { format: { type: 'json_schema', schema } },
  });
  expect(grammar).toEqual({
    kind: GrammarKind.JSON_SCHEMA,
    text: JSON.stringify(schema),
    param: 'output_config.format.schema',
  });
});

test.each([
  [{ max_tokens: undefined }, 'max_tokens', 'max_tokens: Field required'],
  [{ model: undefined }, 'model', 'model: Field required'],
  [{ messages: undefined }, 'messages', 'messages: Field required'],
  [{ max_tokens: 0 }, 'max_tokens'],
  [{ max_tokens: 1.5 }, 'max_tokens'],
  [{ max_tokens: '10' }, 'max_tokens'],
  [{ temperature: 1.01 }, 'temperature'],
  [{ temperature: -0.1 }, 'temperature'],
  [{ top_p: 0 }, 'top_p'],
  [{ top_p: 1.1 }, 'top_p'],
  [{ top_k: -1 }, 'top_k'],
  [{ stop_sequences: [''] }, 'stop_sequences.0'],
  [{ stop_sequences: Array(1000).fill('x') }, 'stop_sequences'],
  [{ stop_sequences: 'x' }, 'stop_sequences'],
  [{ stop_sequences: ['\udc00'] }, 'stop_sequences.0'],
  [{ stream: 'yes' }, 'stream'],
  [{ system: 7 }, 'system'],
  [{ system: '\ud800' }, 'system'],
  [{ system: [{ type: 'image' }] }, 'system.0.type'],
  [{ metadata: { user_id: 7 } }, 'metadata.user_id'],
  [{ service_tier: 'fastest' }, 'service_tier'],
  [{ thinking: { type: 'enabled', budget_tokens: 1023 } }, 'thinking.budget_tokens'],
  [{ thinking: { type: 'enabled' } }, 'thinking.budget_tokens'],
  [{ thinking: { type: 'hard' } }, 'thinking.type'],
  [{ thinking: { type: 'enabled', budget_tokens: 1024 }, max_tokens: 1024 }, 'max_tokens'],
  [{ output_config: { effort: 'enormous' } }, 'output_config.effort'],
  [
    { output_config: { format: { type: 'json_schema', schema: { type: 'x' } } } },
    'output_config.format.schema.type',
  ],
  [{ mcp_servers: [{}] }, 'mcp_servers'],
  [{ container: 'c' }, 'container'],
  [{ thread: { type: 'create' } }, 'thread'],
  [{ cache_control: { type: 'forever' } }, 'cache_control.type'],
  [{ nvext: { nonsense: 1 } }, 'nvext.nonsense'],
])('%j is refused by name', (body, param, message?: string) => {
  const refused = refusal(body);
  expect(refused.param).toBe(param);
  expect(refused.message).toContain(param);
  if (message !== undefined) expect(refused.message).toBe(message);
});

test('a body that is no object is refused', () => {
  for (const body of [null, [], 'x', 7]) expect(() => messagesRequest(body)).toThrow(/^body: /);
});

test('input that is nested deeper than a stack is refused, and so is half a character in it', () => {
  let deep: object = {};
  for (let level = 0; level < 500; level++) deep = { deep };
  const said = (input: object) => ({
    messages: [
      ...hello.messages,
      { role: 'assistant', content: [use('a', input)] },
      { role: 'user', content: [result('a')] },
    ],
  });
  expect(refusal(said(deep)).param).toBe('messages.1.content.0.input');
  expect(refusal(said({ text: '\ud800' })).param).toBe('messages.1.content.0.input');
});

test('to count tokens only the prompt is wanted', () => {
  const { max_tokens, ...prompt } = hello;
  const counted = countTokensRequest({ ...prompt, tools: [tool], system: 'Short.' });
  expect(counted.prompt).toEqual(messagesRequest({ ...hello, tools: [tool], system: 'Short.' }).prompt);
  expect(() => countTokensRequest({ model: 'm' })).toThrow('messages: Field required');
});

test('whatever is sent, it is taken or refused by name', () => {
  const field = fc.constantFrom(
    ...[
      'model',
      'messages',
      'system',
      'tools',
      'tool_choice',
      'thinking',
      'max_tokens',
      'stop_sequences',
      'metadata',
    ],
  );
  const block = fc.record(
    {
      type: fc.constantFrom('text', 'tool_use', 'tool_result', 'thinking', 'image', 'odd'),
      text: fc.string({ unit: 'binary' }),
      id: fc.constantFrom('a', 'b'),
      tool_use_id: fc.constantFrom('a', 'b'),
      name: fc.string(),
      input: fc.jsonValue(),
      content: fc.jsonValue(),
      thinking: fc.string(),
    },
    { requiredKeys: ['type'] },
  );
  const message = fc.record({
    role: fc.constantFrom('user', 'assistant', 'system', 'odd'),
    content: fc.oneof(fc.string(), fc.array(block, { maxLength: 3 })),
  });
  const body = fc
    .record({ messages: fc.array(message, { maxLength: 4 }), other: fc.tuple(field, fc.jsonValue()) })
    .map(({ messages, other: [name, value] }) => ({ ...hello, messages, [name]: value }));
  fc.assert(
    fc.property(
      fc.oneof(
        body,
        fc.record({ messages: fc.array(message) }).map((m) => ({ ...hello, ...m })),
      ),
      (given) => {
        try {
          messagesRequest(given);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(StatorError);
          const { param, message } = thrown as StatorError;
          expect(message).toContain(param ?? '?');
        }
      },
    ),
    { numRuns: 500 },
  );
});
