/** Bodies of `POST /v1/responses`: what they ask for, in no API's words, and what is refused in this one's. */
import { expect, test } from 'vitest';
import { StatorError } from '../../../durable/runtime/errors.ts';
import type { InferenceRequest } from '../../../functions/inference-request.ts';
import { chatRequest } from '../../../functions/openai/chat-request.ts';
import { parseBody } from '../../../functions/openai/parse.ts';
import { responseSchema } from '../../../functions/openai/responses-answer-schema.ts';
import { responsesSchema } from '../../../functions/openai/responses-schema.ts';
import { openApiDocument } from '../../../functions/openapi/document.ts';
import { inResponsesWords } from '../../../functions/responses/chat-words.ts';
import { begunDocument, envelopeOf } from '../../../functions/responses/envelope.ts';
import { ownItems, placed } from '../../../functions/responses/history.ts';
import { newResponseId } from '../../../functions/responses/response-id.ts';
import { checkServed, responsesRequest } from '../../../functions/responses/responses-request.ts';
import { violations } from '../../harness/violations.ts';

const ID = newResponseId('0198c6a2-7b1e-7abc-9def-0123456789ab', 1);

function read(given: Record<string, unknown>): InferenceRequest {
  const body = parseBody(responsesSchema, { model: 'm', input: 'Hi', ...given });
  checkServed(body);
  return responsesRequest(body, placed(ownItems(body.input, ID)));
}

const parameters = { type: 'object', properties: { a: { type: 'string' } } };

test('it asks for the same as the chat completion that says the same', () => {
  const sampling = { temperature: 0.3, top_p: 0.9, seed: 7, stop: ['x'] };
  const tool = { name: 'f', description: 'd', parameters, strict: true };
  const chat = chatRequest({
    model: 'm',
    messages: [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hi' },
    ],
    max_completion_tokens: 9,
    stream: true,
    stream_options: { include_usage: true },
    tools: [{ type: 'function', function: tool }],
    tool_choice: { type: 'function', function: { name: 'f' } },
    parallel_tool_calls: false,
    reasoning_effort: 'low',
    logprobs: true,
    top_logprobs: 3,
    ...sampling,
  });
  const response = read({
    instructions: 'Be brief.',
    max_output_tokens: 9,
    stream: true,
    tools: [{ type: 'function', ...tool }],
    tool_choice: { type: 'function', name: 'f' },
    parallel_tool_calls: false,
    reasoning: { effort: 'low', summary: 'auto' },
    include: ['message.output_text.logprobs'],
    top_logprobs: 3,
    ...sampling,
  });
  expect(response).toEqual(chat);
});

test('forms of the answer are the same, too', () => {
  const formed = (text: unknown, response_format: unknown) => {
    const chat = chatRequest({ model: 'm', messages: [{ role: 'user', content: 'Hi' }], response_format });
    const { grammar } = read({ text });
    expect({ ...grammar, param: '' }).toEqual({ ...chat.grammar, param: '' });
    return grammar;
  };
  expect(formed({ format: { type: 'json_object' } }, { type: 'json_object' })).not.toBeNull();
  formed(
    { format: { type: 'json_schema', name: 'n', schema: parameters } },
    { type: 'json_schema', json_schema: { name: 'n', schema: parameters } },
  );
  expect(read({ text: { format: { type: 'text' }, verbosity: 'low' } }).grammar).toBeNull();
  expect(read({}).grammar).toBeNull();
});

test("fields of OpenAI's own service change nothing", () => {
  expect(read({ service_tier: 'flex', prompt_cache_key: 'k', conversation: null, user: 'me' })).toEqual(
    read({}),
  );
});

test('what the published schema forbids is refused by name, unknown fields and those of other APIs with it', () => {
  const cases = violations(openApiDocument().components.schemas['CreateResponseRequest']!, '');
  const named = cases.filter(({ field }) => field !== '');
  named.push(
    ...['n', 'max_tokens', 'messages', 'conversation'].map((field) => ({
      field,
      what: 'not here',
      value: { [field]: 1 },
    })),
  );
  expect(named.length).toBeGreaterThan(80);
  const wrong = named.flatMap(({ field, what, value }) => {
    try {
      read(value as Record<string, unknown>);
    } catch (thrown) {
      if (thrown instanceof StatorError && thrown.httpStatus === 400 && thrown.param === field) return [];
      return [`${field}, ${what}: ${thrown}`];
    }
    return [`${field}, ${what}: taken`];
  });
  expect(wrong).toEqual([]);
});

test('the response repeats its request, with the defaults where it said nothing', () => {
  const body = parseBody(responsesSchema, { model: 'm', input: 'Hi', metadata: { a: 'b' }, temperature: 0 });
  const document = begunDocument({ responseId: ID, created: 5, model: 'm', envelope: envelopeOf(body) });
  expect(responseSchema.parse(JSON.parse(document))).toMatchObject({
    id: ID,
    created_at: 5,
    status: 'in_progress',
    output: [],
    usage: null,
    metadata: { a: 'b' },
    temperature: 0,
    store: true,
    truncation: 'disabled',
    tools: [],
  });
});

const wordsOf = (param: string, message = `Invalid value for '${param}': it is odd.`) => {
  const { param: said, message: words } = inResponsesWords(
    new StatorError('invalid_request', message, { param }),
  );
  return [said, words];
};

test('what was said of a field of the chat is said of the field here', () => {
  expect(wordsOf('messages', 'too long')).toEqual(['input', 'too long']);
  for (const [chat, here] of [
    ['response_format.json_schema.schema.type', 'text.format.schema.type'],
    ['response_format', 'text.format'],
    ['tools[3].function.parameters.type', 'tools[3].parameters.type'],
    ['tool_choice.function.name', 'tool_choice.name'],
    ['max_tokens', 'max_output_tokens'],
    ['temperature', 'temperature'],
  ] as const) {
    expect(wordsOf(chat)).toEqual([here, `Invalid value for '${here}': it is odd.`]);
  }
});
