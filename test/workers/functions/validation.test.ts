/** Bad input over HTTP: each error names its field, and nothing stays in flight. */

import { beforeAll, describe, expect, test } from 'vitest';
import { errorOf, inFlight, metric, post, type Scenario, scenario } from './scenario.ts';

let run: Scenario;
beforeAll(async () => {
  run = await scenario({ steps: [{ kind: 'answer' }] });
});

const hello = [{ role: 'user', content: 'hello' }];

describe('a chat request that is wrong names the field', () => {
  const cases: [string, Record<string, unknown>, string, string][] = [
    ['no model', { model: undefined }, 'model', 'invalid_request'],
    ['a model that is no text', { model: 5 }, 'model', 'invalid_request'],
    ['an empty model', { model: '' }, 'model', 'invalid_request'],
    ['no messages', { messages: undefined }, 'messages', 'invalid_request'],
    ['empty messages', { messages: [] }, 'messages', 'invalid_request'],
    ['messages that are no list', { messages: 'hi' }, 'messages', 'invalid_request'],
    ['a message that is no object', { messages: ['hi'] }, 'messages[0]', 'invalid_request'],
    ['a message without a role', { messages: [{ content: 'x' }] }, 'messages[0].role', 'invalid_request'],
    [
      'an unknown role',
      { messages: [...hello, { role: 'king', content: 'x' }] },
      'messages[1].role',
      'invalid_request',
    ],
    [
      'a number as content',
      { messages: [{ role: 'user', content: 5 }] },
      'messages[0].content',
      'invalid_request',
    ],
    ['no content of a user', { messages: [{ role: 'user' }] }, 'messages[0].content', 'invalid_request'],
    [
      'a part without text',
      { messages: [{ role: 'user', content: [{ type: 'text' }] }] },
      'messages[0].content[0].text',
      'invalid_request',
    ],
    [
      'an image',
      { messages: [{ role: 'user', content: [{ type: 'text', text: 'a' }, { type: 'image_url' }] }] },
      'messages[0].content[1].type',
      'unsupported_parameter',
    ],
    [
      'a part that is no object',
      { messages: [{ role: 'user', content: [7] }] },
      'messages[0].content[0]',
      'invalid_request',
    ],
    ['negative max_tokens', { max_tokens: -1 }, 'max_tokens', 'invalid_request'],
    ['no tokens at all', { max_tokens: 0 }, 'max_tokens', 'invalid_request'],
    ['half a token', { max_tokens: 1.5 }, 'max_tokens', 'invalid_request'],
    ['max_tokens as text', { max_tokens: '5' }, 'max_tokens', 'invalid_request'],
    ['absurd max_tokens', { max_tokens: 1e20 }, 'max_tokens', 'invalid_request'],
    ['max_tokens beyond the context', { max_tokens: 4096 }, 'max_tokens', 'context_length_exceeded'],
    [
      'max_completion_tokens beyond the context',
      { max_completion_tokens: 4096 },
      'max_tokens',
      'context_length_exceeded',
    ],
    ['too hot', { temperature: 2.1 }, 'temperature', 'invalid_request'],
    ['top_p of nothing', { top_p: 0 }, 'top_p', 'invalid_request'],
    ['stream as text', { stream: 'yes' }, 'stream', 'invalid_request'],
    [
      'include_usage as text',
      { stream_options: { include_usage: 'y' } },
      'stream_options.include_usage',
      'invalid_request',
    ],
    ['too many stop strings', { stop: Array(17).fill('x') }, 'stop', 'invalid_request'],
    ['an empty stop string', { stop: ['a', ''] }, 'stop[1]', 'invalid_request'],
    ['a stop string that is too long', { stop: 'x'.repeat(257) }, 'stop', 'invalid_request'],
    ['logit_bias of a word', { logit_bias: { hello: 1 } }, 'logit_bias.hello', 'invalid_request'],
    ['logit_bias out of range', { logit_bias: { 5: 101 } }, 'logit_bias.5', 'invalid_request'],
    ['a seed that is no integer', { seed: 0.5 }, 'seed', 'invalid_request'],
    ['too many choices', { n: 17 }, 'n', 'invalid_request'],
    ['absurdly many choices', { n: 10_000 }, 'n', 'invalid_request'],
    ['half a choice', { n: 1.5 }, 'n', 'invalid_request'],
    ['too many likely tokens', { logprobs: true, top_logprobs: 21 }, 'top_logprobs', 'invalid_request'],
    ['likely tokens without logprobs', { top_logprobs: 2 }, 'top_logprobs', 'invalid_request'],
    ['logprobs as a number', { logprobs: 3 }, 'logprobs', 'invalid_request'],
    ['1,000 stop strings', { stop: Array(1_000).fill('x') }, 'stop', 'invalid_request'],
    [
      'a form of the answer that there is not',
      { response_format: { type: 'xml' } },
      'response_format.type',
      'invalid_request',
    ],
    [
      'a tool with a broken schema',
      { tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'int' } } }] },
      'tools[0].function.parameters.type',
      'invalid_request',
    ],
    ['metadata that is a word', { metadata: 'x' }, 'metadata', 'invalid_request'],
    ['fewer tokens at most than at least', { max_tokens: 2, min_tokens: 3 }, 'min_tokens', 'invalid_request'],
  ];
  test.each(cases)('%s', async (_, overrides, param, code) => {
    const response = await run.chat(overrides);
    const error = await errorOf(response);
    expect({ status: response.status, ...error }).toEqual({
      status: 400,
      type: 'invalid_request_error',
      param,
      code,
      message: expect.stringMatching(/.{10}/),
    });
    expect(response.headers.get('content-type')).toBe('application/json');
  });
});

describe('a completions request that is wrong names the field', () => {
  const cases: [string, Record<string, unknown>, string, string][] = [
    ['no prompt', {}, 'prompt', 'invalid_request'],
    ['an empty prompt', { prompt: '' }, 'prompt', 'invalid_request'],
    ['an empty list', { prompt: [] }, 'prompt', 'invalid_request'],
    ['two prompts', { prompt: ['a', 'b'] }, 'prompt', 'unsupported_parameter'],
    ['a negative token', { prompt: [1, -2] }, 'prompt[1]', 'invalid_request'],
    ['text among tokens', { prompt: [1, 'a'] }, 'prompt[1]', 'invalid_request'],
    ['a token that is no integer', { prompt: [[1, 2.5]] }, 'prompt[0][1]', 'invalid_request'],
    ['an object', { prompt: [{}] }, 'prompt[0]', 'invalid_request'],
    ['several candidates', { prompt: 'a', best_of: 2 }, 'best_of', 'unsupported_parameter'],
    ['a suffix', { prompt: 'a', suffix: 'b' }, 'suffix', 'unsupported_parameter'],
    ['too many likely tokens', { prompt: 'a', logprobs: 6 }, 'logprobs', 'invalid_request'],
    [
      'log probabilities of the prompt',
      { prompt: 'a', logprobs: 1, echo: true },
      'logprobs',
      'unsupported_parameter',
    ],
  ];
  test.each(cases)('%s', async (_, body, param, code) => {
    const response = await post('/v1/completions', { model: run.model, ...body });
    expect({ status: response.status, ...(await errorOf(response)) }).toMatchObject({
      status: 400,
      param,
      code,
    });
  });
});

test.each([
  ['not JSON', '{"model":', 'invalid_json'],
  ['nothing', '', 'invalid_json'],
  ['invalid UTF-8', new Uint8Array([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]), 'invalid_json'],
  ['a list', '[]', 'invalid_request'],
  ['null', 'null', 'invalid_request'],
])('a body of %s is refused', async (_, body, code) => {
  const { platform } = await import('./scenario.ts');
  const response = await platform('/v1/chat/completions', { method: 'POST', body });
  expect({ status: response.status, ...(await errorOf(response)) }).toMatchObject({ status: 400, code });
});

test('a prompt longer than the context names the numbers', async () => {
  const response = await run.chat({ messages: [{ role: 'user', content: 'word '.repeat(600) }] });
  const error = await errorOf(response);
  expect(error).toMatchObject({ code: 'context_length_exceeded', param: 'messages' });
  expect(error.message).toMatch(
    /maximum context length is 256 tokens\. However, your messages resulted in \d{3,} tokens/,
  );
});

test("the template's own refusal reaches the caller", async () => {
  const response = await run.chat({ messages: [{ role: 'tool', content: 'x' }] });
  expect(await errorOf(response)).toMatchObject({
    code: 'invalid_request',
    param: 'messages',
    message: expect.stringContaining('tools are not for me'),
  });
});

test('an unknown model is a 404 with near names', async () => {
  const response = await run.chat({ model: `${run.model}x` });
  expect(response.status).toBe(404);
  const error = await errorOf(response);
  expect(error).toMatchObject({ code: 'model_not_found', param: 'model' });
  expect(error.message).toContain(`'${run.model}'`);
});

test('an unknown field is refused by name, as a misspelt wish would silently not be granted', async () => {
  const response = await run.chat({ frobnicate: { deep: [1] } });
  expect(response.status).toBe(400);
  expect(await errorOf(response)).toMatchObject({ code: 'invalid_request', param: 'frobnicate' });
});

test("nulls, and fields of OpenAI's own service, are accepted", async () => {
  const response = await run.chat({
    service_tier: 'auto',
    safety_identifier: 'someone',
    modalities: ['text'],
    temperature: null,
    stop: null,
    user: 'me',
    tools: [],
  });
  expect(response.status).toBe(200);
  expect(await response.text()).toContain('[DONE]');
});

test('what the client asked for arrives at the worker', async () => {
  await run.play([{ kind: 'answer' }]);
  const response = await run.chat({ max_tokens: 9, stop: ['a', 'b'], temperature: 0, seed: -1 });
  await response.text();
  const [call] = (await run.log()).generate;
  expect(call).toMatchObject({
    model: run.model,
    maxTokens: 9,
    stop: ['a', 'b'],
    temperature: 0,
    seed: '18446744073709551615',
    authorization: 'Bearer fleet-token-of-the-tests',
    contentType: 'application/proto',
    requestId: response.headers.get('x-request-id'),
  });
  expect(call!.responseId).toMatch(/^chatcmpl-[0-9a-f]{32}$/);
});

test('a completion without a limit generates 16 tokens, a chat what is left of the context', async () => {
  await run.play([{ kind: 'answer' }]);
  await (await post('/v1/completions', { model: run.model, prompt: [5, 6, 7] })).text();
  await (await run.chat({ max_tokens: undefined })).text();
  const [completion, chat] = (await run.log()).generate;
  expect(completion).toMatchObject({ tokenIds: [5, 6, 7], maxTokens: 16 });
  expect(completion!.responseId).toMatch(/^cmpl-/);
  expect(chat!.maxTokens).toBe(256 - chat!.tokenIds.length);
});

test('nothing of all this is still in flight', async () => {
  expect(await inFlight(run)).toBeLessThanOrEqual(4);
  expect(await metric('frontend_inflight_requests', { model: run.model })).toBe(0);
});
