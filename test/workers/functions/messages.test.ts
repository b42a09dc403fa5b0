/** Anthropic's endpoints in workerd: their words for every failure, wherever it happens, and their headers. */

import { expect, test } from 'vitest';
import { inFlight, metric, platform, post, type Scenario, scenario } from './scenario.ts';

interface AnthropicError {
  type: string;
  error: { type: string; message: string };
  request_id?: string;
}

const COMMENT = ': keep-alive\n\n';
const messages = [{ role: 'user', content: 'hello' }];

/** `chat` first tells the router of its workers, and then posts elsewhere. */
const ask = ({ model }: Scenario, overrides: object = {}) =>
  post('/v1/messages', { model, messages, max_tokens: 50, stream: true, ...overrides });

const errorOf = async (response: Response) => (await response.json()) as AnthropicError;

test('answers carry the id of the request where Anthropic has it', async () => {
  const run = await scenario({ steps: [{ kind: 'answer' }] });
  for (const stream of [true, false]) {
    const response = await ask(run, { stream });
    expect(response.status).toBe(200);
    expect(response.headers.get('request-id')).toMatch(/^req_/);
    expect(response.headers.get('request-id')).toBe(response.headers.get('x-request-id'));
    expect(response.headers.get('x-stator-worker')).toBe(run.workers[0]);
    await response.text();
  }
  expect((await run.log()).generate.map(({ responseId }) => responseId.slice(0, 4))).toEqual([
    'msg_',
    'msg_',
  ]);
});

test.each([
  [529, 'overloaded', 'overloaded_error'],
  [500, 'engine_error', 'api_error'],
  [400, 'invalid_request', 'invalid_request_error'],
  [504, 'deadline_exceeded', 'timeout_error'],
])("a worker's refusal %s %s is a %s", async (status, code, type) => {
  const run = await scenario({ steps: [{ kind: 'refuse', status, code, message: 'no', retryAfter: '7' }] });
  const response = await ask(run);
  expect(response.status).toBe(status);
  expect(response.headers.get('retry-after')).toBe('7');
  const error = await errorOf(response);
  expect(error).toEqual({
    type: 'error',
    error: { type, message: 'no' },
    request_id: response.headers.get('request-id'),
  });
});

test('worker after worker is lost in mid-stream: the last event is an error by its name', async () => {
  const steps = [120, 150, 180, 200].map((at) => ({ kind: 'cut', at }) as const);
  const run = await scenario({ steps, workers: 4 });
  const text = await (await ask(run)).text();
  const [name, data] = text.trimEnd().split('\n\n').at(-1)!.split('\n');
  expect(name).toBe('event: error');
  expect(JSON.parse(data!.slice('data: '.length))).toMatchObject({
    type: 'error',
    error: { type: 'api_error', message: expect.stringContaining('4 workers') },
  });
  expect(await metric('frontend_requests_total', { model: run.model, status: 'error' })).toBe(1);
  expect(await inFlight(run)).toBe(0);
});

test('a refusal after the headers are out is an error event', async () => {
  const run = await scenario({
    steps: [{ kind: 'hold-then-refuse', status: 500, code: 'engine_error', message: 'the engine died' }],
  });
  const response = await ask(run);
  expect(response.status).toBe(200);
  await run.release();
  expect((await response.text()).replaceAll(COMMENT, '')).toBe(
    'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"the engine died"}}\n\n',
  );
});

test('a document lost for good behind its white space is an error in its place', async () => {
  const run = await scenario({ steps: [{ kind: 'cut', at: 0 }], workers: 4, document: 'chunked' });
  const response = await ask(run, { stream: false });
  const error = await errorOf(response);
  expect(error).toMatchObject({ type: 'error', error: { type: 'api_error' } });
  expect(await metric('frontend_requests_total', { model: run.model, status: 'error' })).toBe(1);
});

test('wrong keys, paths, methods, models and bodies are refused in the same form', async () => {
  const refused = async (response: Response | Promise<Response>) => {
    const { status, headers } = await response;
    const { type, error, request_id } = await errorOf(await response);
    expect([type, request_id]).toEqual(['error', headers.get('request-id')]);
    return [status, error.type];
  };
  const init = { method: 'POST', body: '{}' };
  const stranger = { ...init, headers: { 'x-api-key': 'wrong' } };
  expect(await refused(platform('/v1/messages', stranger))).toEqual([401, 'authentication_error']);
  expect(await refused(platform('/v1/messages/nothing', init))).toEqual([404, 'not_found_error']);
  expect(await refused(platform('/v1/messages'))).toEqual([405, 'invalid_request_error']);
  expect(await refused(post('/v1/messages', '{'))).toEqual([400, 'invalid_request_error']);
  expect(await refused(post('/v1/messages/count_tokens', {}))).toEqual([400, 'invalid_request_error']);
  const large = post('/v1/messages', { messages: 'x'.repeat(200_000) });
  expect(await refused(large)).toEqual([413, 'request_too_large']);
  const unknown = { model: 'nobody', messages, max_tokens: 1 };
  expect(await refused(post('/v1/messages', unknown))).toEqual([404, 'not_found_error']);
  const version = { 'anthropic-version': '2023-06-01' };
  expect(await refused(platform('/v1/models/nobody', { headers: version }))).toEqual([
    404,
    'not_found_error',
  ]);
});

test('tokens are counted without any worker, whatever fits', async () => {
  const run = await scenario({ steps: [{ kind: 'answer' }] });
  const count = async (content: string) => {
    const body = { model: run.model, messages: [{ role: 'user', content }] };
    const response = await post('/v1/messages/count_tokens', body);
    expect(response.headers.get('request-id')).toMatch(/^req_/);
    return (await response.json<{ input_tokens: number }>()).input_tokens;
  };
  const short = await count('hello');
  expect(short).toBeGreaterThan(1);
  expect(await count('hello '.repeat(1000))).toBeGreaterThan(short + 256);
  expect((await run.log()).generate).toEqual([]);
});

test('an answer that would not fit is cut to the context, a prompt that does not fit is refused', async () => {
  const run = await scenario({ steps: [{ kind: 'answer' }] });
  expect((await ask(run, { max_tokens: 100_000 })).status).toBe(200);
  const [call] = (await run.log()).generate;
  expect(call!.maxTokens).toBe(256 - call!.tokenIds.length);
  const long = await ask(run, { messages: [{ role: 'user', content: 'hello '.repeat(1000) }] });
  expect([long.status, (await errorOf(long)).error.type]).toEqual([400, 'invalid_request_error']);
});

test('an answer goes on with what the assistant has begun', async () => {
  const run = await scenario({ steps: [{ kind: 'answer' }] });
  const promptOf = async (said: object[]) => {
    await run.play([{ kind: 'answer' }]);
    expect((await ask(run, { messages: [...messages, ...said] })).status).toBe(200);
    return (await run.log()).generate[0]!.tokenIds;
  };
  const fresh = await promptOf([]);
  const begun = await promptOf([{ role: 'assistant', content: 'It is' }]);
  expect(begun.slice(0, fresh.length)).toEqual(fresh);
  expect(begun.length).toBeGreaterThan(fresh.length);
  expect(begun.length).toBeLessThan(fresh.length + 8);
});
