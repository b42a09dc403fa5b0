/** OpenAI bodies become inference requests, or errors that name the field. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { StatorError } from '../../../durable/runtime/errors.ts';
import { chatRequest } from '../../../functions/openai/chat-request.ts';
import { completionsRequest } from '../../../functions/openai/completions-request.ts';
import { paramName } from '../../../functions/openai/parse.ts';

const hello = { model: 'm', messages: [{ role: 'user', content: 'hi' }] };

test("OpenAI's defaults", () => {
  expect(chatRequest(hello)).toEqual({
    model: 'm',
    prompt: { kind: 'messages', messages: [{ role: 'user', content: 'hi' }], extras: null },
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
    stop: { maxTokens: null, minTokens: 0, stop: [], stopTokenIds: [], ignoreEos: false },
    stream: false,
    includeUsage: false,
    echo: false,
    priority: 0,
    agentHints: null,
    tools: null,
    grammar: null,
    routing: null,
  });
});

test('agent hints order the queue; other extensions are left alone', () => {
  const agent_hints = { priority: 5, strict_priority: 2, osl: 100 };
  const { agentHints } = chatRequest({ ...hello, nvext: { agent_hints, annotations: [] } });
  expect(agentHints).toEqual({ priority: 5, strictPriority: 2 });
  expect(chatRequest({ ...hello, nvext: { agent_hints: { priority: -1 } } }).agentHints).toEqual({
    priority: -1,
    strictPriority: 0,
  });
  const tooLarge = { ...hello, nvext: { agent_hints: { strict_priority: 2 ** 32 } } };
  expect(() => chatRequest(tooLarge)).toThrow('nvext.agent_hints.strict_priority');
});

test('max_completion_tokens wins over max_tokens; parts of text are joined; an assistant may say nothing', () => {
  const request = chatRequest({
    ...hello,
    max_tokens: 5,
    max_completion_tokens: 7,
    messages: [
      {
        role: 'user',
        content: [
          { type: 'text', text: 'a' },
          { type: 'text', text: 'b' },
        ],
      },
      { role: 'assistant', content: null },
    ],
  });
  expect(request.stop.maxTokens).toBe(7);
  expect(request.prompt).toEqual({
    kind: 'messages',
    messages: [
      { role: 'user', content: 'ab' },
      { role: 'assistant', content: '' },
    ],
    extras: null,
  });
});

test.each([
  ['one text', { kind: 'text', text: 'hi' }],
  [['one text'], { kind: 'text', text: 'hi' }],
])('a prompt as %j is text', (prompt, expected) => {
  const given = JSON.parse(JSON.stringify(prompt).replace('one text', 'hi'));
  expect(completionsRequest({ model: 'm', prompt: given }).prompt).toEqual(expected);
});

test.each([[[1, 2, 4_294_967_295]], [[[1, 2, 4_294_967_295]]]])('a prompt as %j is tokens', (prompt) => {
  const tokenIds = Uint32Array.of(1, 2, 4_294_967_295);
  expect(completionsRequest({ model: 'm', prompt }).prompt).toEqual({ kind: 'tokens', tokenIds });
});

test('a seed is 64 bits, whatever its sign', () => {
  const seedOf = (seed: number) => chatRequest({ ...hello, seed }).sampling.seed;
  expect(seedOf(-1)).toBe(0xffff_ffff_ffff_ffffn);
  expect(seedOf(0)).toBe(0n);
  expect(seedOf(Number.MAX_SAFE_INTEGER)).toBe(BigInt(Number.MAX_SAFE_INTEGER));
});

test('paths are written as OpenAI writes them', () => {
  expect(paramName(['messages', 0, 'content', 1, 'type'])).toBe('messages[0].content[1].type');
  expect(paramName([])).toBe('');
});

test('too many logit biases are refused by name', () => {
  const bias = Object.fromEntries(Array.from({ length: 1025 }, (_, id) => [id, 1]));
  expect(() => chatRequest({ ...hello, logit_bias: bias })).toThrow(
    expect.objectContaining({ param: 'logit_bias' }),
  );
});

/** A value that a field might be given by somebody who means no good. */
const anything = fc.anything({ maxDepth: 3, withNullPrototype: true });
const fields = [
  'model',
  'messages',
  'prompt',
  'stop',
  'max_tokens',
  'stream',
  'logit_bias',
  'n',
  'seed',
  'stream_options',
];
const body = fc.oneof(
  anything,
  fc.dictionary(fc.constantFrom(...fields), anything),
  fc.record({
    model: fc.constant('m'),
    messages: fc.array(fc.dictionary(fc.constantFrom('role', 'content', 'name'), anything)),
  }),
  fc.record({ model: fc.constant('m'), prompt: fc.array(anything) }),
);

test('whatever the body is, the answer is a request or an error of ours', () => {
  fc.assert(
    fc.property(body, (json) => {
      for (const parse of [chatRequest, completionsRequest]) {
        try {
          expect(parse(json).model).toBeTypeOf('string');
        } catch (error) {
          expect(error).toBeInstanceOf(StatorError);
          expect(['invalid_request', 'unsupported_parameter']).toContain((error as StatorError).code);
        }
      }
    }),
    { numRuns: 1_000 },
  );
});
