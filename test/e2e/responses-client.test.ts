/** The unmodified `openai` client's Responses against a real deployment, with an engine that says what it is told to. */

import OpenAI from 'openai';
import type {
  ResponseCreateParamsNonStreaming,
  ResponseStreamEvent,
} from 'openai/resources/responses/responses';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { eventually, idle, plan, statusOf, workersServing } from '../harness/deployment.ts';

let deployment: Deployment;
let client: OpenAI;
beforeAll(async () => {
  deployment = await plan({ engine: 'mock', engineSpeedup: 0, apiKey: 'sk-stator-test', context: 4096 });
  await deployment.startPlatform();
  const parsers = { toolCallParser: 'hermes', reasoningParser: 'qwen3' };
  deployment.addSidecar({ modelName: 'dictated', mockDictation: true, ...parsers });
  deployment.addSidecar({ modelName: 'slow', engineSpeedup: 1, mockDecodeMs: 20 });
  deployment.addSidecar({ engine: 'llama', modelName: 'stator-tiny' });
  await workersServing(deployment, 3);
  client = new OpenAI({ baseURL: `${deployment.url}/v1`, apiKey: 'sk-stator-test', maxRetries: 0 });
}, 90_000);

const saying = (answer: string): ResponseCreateParamsNonStreaming => ({
  model: 'dictated',
  input: `Please say «${answer}»`,
});

const weather: OpenAI.Responses.FunctionTool = {
  type: 'function',
  name: 'get_weather',
  description: 'The weather of a city',
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  strict: false,
};
const CALL = '<tool_call>{"name": "get_weather", "arguments": {"city": "Köln"}}</tool_call>';

/** What it was refused with. */
async function refusal(promise: Promise<unknown>): Promise<InstanceType<typeof OpenAI.APIError>> {
  const thrown = await promise.then(
    () => null,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(OpenAI.APIError);
  return thrown as InstanceType<typeof OpenAI.APIError>;
}

describe('a response', () => {
  it('is the same whole, streamed and retrieved, with reasoning and text', async () => {
    const question = saying('<think>Hm, é.</think>Grüße 😀, world.');
    const whole = await client.responses.create({ ...question, metadata: { a: 'b' }, user: 'me' });
    expect(whole.output_text).toBe('Grüße 😀, world.');
    expect(whole).toMatchObject({
      object: 'response',
      status: 'completed',
      model: 'dictated',
      metadata: { a: 'b' },
      user: 'me',
      output: [
        { type: 'reasoning', content: [{ type: 'reasoning_text', text: 'Hm, é.' }] },
        { type: 'message', role: 'assistant', status: 'completed' },
      ],
    });
    expect(whole.usage!.output_tokens_details.reasoning_tokens).toBeGreaterThan(0);
    const { output_text: _, ...raw } = await client.responses.retrieve(whole.id);
    const { output_text: __, ...told } = whole;
    expect(raw).toEqual(told);

    const events: ResponseStreamEvent[] = [];
    const stream = client.responses.stream({ ...question, stream: true });
    stream.on('event', (event) => void events.push(event));
    const streamed = await stream.finalResponse();
    expect(streamed.output_text).toBe(whole.output_text);
    expect(events.map(({ sequence_number }) => sequence_number)).toEqual(events.map((_, at) => at));
    const deltas = events.filter((event) => event.type === 'response.output_text.delta');
    expect(deltas.length).toBeGreaterThan(1);
    expect(deltas.map(({ delta }) => delta).join('')).toBe(whole.output_text);
    expect(await client.responses.retrieve(streamed.id)).toMatchObject({
      status: 'completed',
      output: streamed.output.map(({ type, id }) => ({ type, id })),
    });
  });

  it('calls tools, streamed and whole, and goes on with what they say', async () => {
    const ask = { ...saying(CALL), tools: [weather] };
    const whole = await client.responses.create(ask);
    const [call] = whole.output;
    expect(call).toMatchObject({
      type: 'function_call',
      name: 'get_weather',
      arguments: '{"city": "Köln"}',
      status: 'completed',
    });
    const stream = client.responses.stream({ ...ask, stream: true });
    let given = '';
    stream.on('response.function_call_arguments.delta', ({ delta }) => {
      given += delta;
    });
    const streamed = await stream.finalResponse();
    expect(given).toBe('{"city": "Köln"}');
    expect(streamed.output[0]).toMatchObject({ type: 'function_call', arguments: given });

    const { call_id } = call as OpenAI.Responses.ResponseFunctionToolCall;
    const next = await client.responses.create({
      model: 'dictated',
      previous_response_id: whole.id,
      input: [{ type: 'function_call_output', call_id, output: '«It rains.»' }],
      tools: [weather],
    });
    expect(next.output_text).toBe('It rains.');
    const error = await refusal(
      client.responses.create({
        model: 'dictated',
        input: [{ type: 'function_call_output', call_id: 'call_nobody', output: 'x' }],
      }),
    );
    expect(error).toMatchObject({ status: 400, param: 'input' });
  });

  it('continues the conversation of the one before, and only that', async () => {
    const first = await client.responses.create({ model: 'slow', input: 'One.', max_output_tokens: 3 });
    const more = { model: 'slow', input: 'Two.', max_output_tokens: 3 };
    const second = await client.responses.create({ ...more, previous_response_id: first.id });
    expect(second.previous_response_id).toBe(first.id);
    expect(second.usage!.input_tokens).toBeGreaterThan(first.usage!.input_tokens + 3);
    const alone = await client.responses.create(more);
    expect(alone.usage!.input_tokens).toBeLessThan(second.usage!.input_tokens);
    // What the model sees is what a client would have sent itself.
    const spelt = await client.responses.create({
      ...more,
      store: false,
      input: [
        { role: 'user', content: 'One.' },
        { role: 'assistant', content: first.output_text },
        { role: 'user', content: 'Two.' },
      ],
    });
    expect(spelt.usage!.input_tokens).toBe(second.usage!.input_tokens);
    const referred = await client.responses.create({
      ...more,
      input: [
        { type: 'item_reference', id: first.output[0]!.id! },
        { role: 'user', content: 'Two.' },
      ],
    });
    expect(referred.usage!.input_tokens).toBeGreaterThan(alone.usage!.input_tokens);
  });

  it('of a conversation that is too long forgets its beginning, where it may', async () => {
    const turns = Array.from({ length: 12 }, (_, at) => ({
      role: 'user' as const,
      content: `${at} ${'long '.repeat(500)}`,
    }));
    const ask = { model: 'slow', input: turns, max_output_tokens: 3, instructions: 'Be brief.' };
    expect(await refusal(client.responses.create(ask))).toMatchObject({
      status: 400,
      code: 'context_length_exceeded',
      param: 'input',
    });
    const answer = await client.responses.create({ ...ask, truncation: 'auto' });
    expect(answer.usage!.input_tokens).toBeGreaterThan(1_000);
    expect(answer.truncation).toBe('auto');
    await idle(deployment);
  });

  it('that came to its length is incomplete and says so', async () => {
    const short = await client.responses.create({ ...saying('one two three four'), max_output_tokens: 2 });
    expect(short).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
      usage: { output_tokens: 2 },
    });
  });

  it('has log probabilities where they were asked for', async () => {
    const include: OpenAI.Responses.ResponseIncludable[] = ['message.output_text.logprobs'];
    const { output } = await client.responses.create({ ...saying('so it is'), include, top_logprobs: 2 });
    const [text] = (output[0] as OpenAI.Responses.ResponseOutputMessage).content;
    expect(text).toMatchObject({ type: 'output_text', text: 'so it is' });
    const { logprobs } = text as OpenAI.Responses.ResponseOutputText;
    expect(logprobs!.length).toBeGreaterThan(0);
    expect(logprobs![0]!.top_logprobs).toHaveLength(2);
  });

  it('is not stored when the client does not want it', async () => {
    const { id } = await client.responses.create({ ...saying('hush'), store: false });
    expect(await refusal(client.responses.retrieve(id))).toMatchObject({ status: 404, code: 'not_found' });
  });
});

describe('a stored response', () => {
  it('lists its input in pages', async () => {
    const texts = ['one', 'two', 'three'];
    const { id } = await client.responses.create({
      model: 'dictated',
      input: texts.map((content) => ({ role: 'user', content })),
      max_output_tokens: 4,
    });
    const listed: unknown[] = [];
    for await (const item of client.responses.inputItems.list(id, { limit: 2, order: 'asc' })) {
      listed.push((item as OpenAI.Responses.ResponseInputMessageItem).content[0]);
    }
    expect(listed).toEqual(texts.map((text) => ({ type: 'input_text', text })));
    const { data, has_more } = await client.responses.inputItems.list(id, { limit: 1 });
    expect(data).toMatchObject([{ content: [{ text: 'three' }] }]);
    expect(has_more).toBe(true);
  });

  it('is deleted once, and cannot be continued after that', async () => {
    const { id } = await client.responses.create(saying('gone'));
    await client.responses.delete(id);
    expect(await refusal(client.responses.delete(id))).toMatchObject({ status: 404 });
    expect(await refusal(client.responses.retrieve(id))).toMatchObject({ status: 404 });
    const next = client.responses.create({ ...saying('x'), previous_response_id: id });
    expect(await refusal(next)).toMatchObject({
      status: 404,
      param: 'previous_response_id',
      type: 'invalid_request_error',
    });
  });

  it('outlives the platform process, and is continued after it', async () => {
    const { id, output } = await client.responses.create(saying('kept'));
    process.kill(deployment.platform.pid as number, 'SIGKILL');
    const kept = await eventually('the response', () => client.responses.retrieve(id).catch(() => null));
    expect(kept.output).toEqual(output);
    await workersServing(deployment, 3);
    const next = await client.responses.create({ ...saying('and on'), previous_response_id: id });
    expect(next.output_text).toBe('and on');
  });

  it('is stopped by deleting it while it is streamed', async () => {
    const stream = await client.responses.create({
      model: 'slow',
      input: 'Go on and on.',
      stream: true,
      max_output_tokens: 2_000,
    });
    const rest = async () => {
      for await (const event of stream) {
        if (event.type === 'response.output_text.delta') await client.responses.delete(id).catch(() => {});
        else if (event.type === 'response.created') id = event.response.id;
      }
    };
    let id = '';
    expect(await refusal(rest())).toMatchObject({ code: 'cancelled' });
    await idle(deployment);
    expect(await refusal(client.responses.retrieve(id))).toMatchObject({ status: 404 });
  });

  it('is cancelled, as far as it came, when its client leaves', async () => {
    const aborter = new AbortController();
    const stream = await client.responses.create(
      { model: 'slow', input: 'Go on and on.', stream: true, max_output_tokens: 1_000 },
      { signal: aborter.signal },
    );
    let id = '';
    for await (const event of stream) {
      if (event.type === 'response.created') id = event.response.id;
      if (event.type === 'response.output_text.delta') break;
    }
    aborter.abort();
    const stored = await eventually('the end of the response', async () => {
      const response = await client.responses.retrieve(id);
      return response.status === 'in_progress' ? null : response;
    });
    expect(stored.status).toBe('cancelled');
    expect(stored.usage!.output_tokens).toBeGreaterThan(0);
    expect(stored.usage!.output_tokens).toBeLessThan(1_000);
    await idle(deployment);
  });
});

describe('a response in the background', () => {
  const ask = { model: 'slow', input: 'Think.', background: true };

  it('is polled until it is completed', async () => {
    const begun = await client.responses.create({ ...ask, max_output_tokens: 5 });
    expect(begun).toMatchObject({ status: 'in_progress', background: true, output: [] });
    const done = await eventually('the response', async () => {
      const response = await client.responses.retrieve(begun.id);
      return response.status === 'in_progress' ? null : response;
    });
    expect(done).toMatchObject({ status: 'incomplete', usage: { output_tokens: 5 }, background: true });
    const again = await client.responses.cancel(begun.id);
    expect(again.status).toBe('incomplete');
  });

  it('is cancelled, and its worker stops', async () => {
    const begun = await client.responses.create({ ...ask, max_output_tokens: 2_000 });
    await eventually('its start', async () => ((await statusOf(deployment)).inFlight === 1 ? true : null));
    const cancelled = await client.responses.cancel(begun.id);
    expect(cancelled.status).toBe('cancelled');
    await idle(deployment);
    expect(await client.responses.cancel(begun.id)).toMatchObject({ id: begun.id, status: 'cancelled' });
  });

  it('is stopped by deleting it', async () => {
    const begun = await client.responses.create({ ...ask, max_output_tokens: 2_000 });
    await eventually('its start', async () => ((await statusOf(deployment)).inFlight === 1 ? true : null));
    await client.responses.delete(begun.id);
    await idle(deployment);
  });

  it('says why it failed', async () => {
    const input = 'long '.repeat(6_000);
    const begun = await client.responses.create({ ...ask, input });
    const failed = await eventually('its end', async () => {
      const response = await client.responses.retrieve(begun.id);
      return response.status === 'in_progress' ? null : response;
    });
    expect(failed).toMatchObject({ status: 'failed', error: { code: 'server_error' } });
    expect(failed.error!.message).toContain('context');
  });

  it('is neither streamed nor unstored, and only it is cancelled', async () => {
    const streamed = client.responses.create({ ...ask, stream: true });
    expect(await refusal(streamed)).toMatchObject({ status: 400, param: 'stream' });
    const unstored = client.responses.create({ ...ask, store: false });
    expect(await refusal(unstored)).toMatchObject({ status: 400, param: 'background' });
    const { id } = await client.responses.create(saying('here'));
    expect(await refusal(client.responses.cancel(id))).toMatchObject({ status: 400 });
    expect(await refusal(client.responses.cancel('resp_0'))).toMatchObject({ status: 404 });
  });
});

describe('a form of the answer', () => {
  const schema = {
    type: 'object',
    properties: { city: { enum: ['Köln', 'Ulm'] } },
    required: ['city'],
    additionalProperties: false,
  };

  it('is kept to, and refused by name where it is broken', async () => {
    const format = { type: 'json_schema' as const, name: 'place', schema };
    const ask = { model: 'stator-tiny', input: 'Where?', text: { format }, max_output_tokens: 64 };
    const { output_text, text } = await client.responses.create(ask);
    expect(['Köln', 'Ulm']).toContain((JSON.parse(output_text) as { city: string }).city);
    expect(text).toMatchObject({ format });
    const broken = { format: { ...format, schema: { $ref: '#/nowhere' } } };
    expect(await refusal(client.responses.create({ ...ask, text: broken }))).toMatchObject({
      status: 400,
      param: 'text.format.schema.$ref',
    });
  });
});

describe('bad input', () => {
  const refused: [name: string, body: Record<string, unknown>, status: number, param: string | null][] = [
    ['a model that is not there', { model: 'nobody' }, 404, 'model'],
    ['no input', { input: undefined }, 400, 'input'],
    ['an empty list', { input: [] }, 400, 'input'],
    ['an unknown item', { input: [{ type: 'web_search_call', id: 'x' }] }, 400, 'input[0].type'],
    ['an unknown role', { input: [{ role: 'tool', content: 'x' }] }, 400, 'input[0].role'],
    [
      'an image',
      { input: [{ role: 'user', content: [{ type: 'input_image', image_url: 'data:,' }] }] },
      400,
      'input[0].content[0].type',
    ],
    [
      'a call whose arguments are no JSON',
      { input: [{ type: 'function_call', call_id: 'c', name: 'f', arguments: '{' }] },
      400,
      'input[0].arguments',
    ],
    ['half a surrogate pair', { input: 'x\ud800' }, 400, 'input[0].content[0].text'],
    ['a built-in tool', { tools: [{ type: 'web_search' }] }, 400, 'tools[0].type'],
    ['a tool without a name', { tools: [{ type: 'function' }] }, 400, 'tools[0].name'],
    [
      'a tool with a broken schema',
      { tools: [{ type: 'function', name: 'f', parameters: { type: 'odd' } }] },
      400,
      'tools[0].parameters.type',
    ],
    ['a choice of nothing', { tool_choice: { type: 'function', name: 'f' } }, 400, 'tool_choice'],
    [
      'a choice of an unknown tool',
      { tools: [weather], tool_choice: { type: 'function', name: 'f' } },
      400,
      'tool_choice.name',
    ],
    ['an unknown form', { text: { format: { type: 'xml' } } }, 400, 'text.format.type'],
    [
      'a form with a broken schema',
      { text: { format: { type: 'json_schema', name: 'f', schema: { type: 'odd' } } } },
      400,
      'text.format.schema.type',
    ],
    ['an unknown effort', { reasoning: { effort: 'enormous' } }, 400, 'reasoning.effort'],
    ['no tokens', { max_output_tokens: 0 }, 400, 'max_output_tokens'],
    ['what nobody can include', { include: ['everything'] }, 400, 'include[0]'],
    ['a conversation', { conversation: 'conv_1' }, 400, 'conversation'],
    ['a stored prompt', { prompt: { id: 'pmpt_1' } }, 400, 'prompt'],
    ['a previous response of nobody', { previous_response_id: 'resp_1' }, 404, 'previous_response_id'],
    [
      'a previous response that never was',
      { previous_response_id: `resp_00${'0'.repeat(32)}` },
      404,
      'previous_response_id',
    ],
    ['an item of nobody', { input: [{ type: 'item_reference', id: 'msg_1' }] }, 404, 'input[0].id'],
    [
      'too much metadata',
      { metadata: Object.fromEntries([...'abcdefghijklmnopq'].map((key) => [key, ''])) },
      400,
      'metadata',
    ],
    ['more than fits', { input: 'long '.repeat(6_000) }, 400, 'input'],
  ];

  it.each(refused)('%s is refused by name', async (_, body, status, param) => {
    const error = await refusal(client.responses.create({ ...saying('x'), ...body } as never));
    expect({ status: error.status, param: error.param }).toEqual({ status, param });
  });

  it('of a listing is refused by name', async () => {
    const { id } = await client.responses.create(saying('x'));
    for (const [query, param] of [
      [{ limit: 0 }, 'limit'],
      [{ order: 'up' }, 'order'],
      [{ after: 'msg_1' }, 'after'],
    ] as const) {
      const listing = client.responses.inputItems.list(id, query as never);
      expect(await refusal(listing as never)).toMatchObject({ status: 400, param });
    }
    expect(await refusal(client.responses.retrieve(id, { stream: true }))).toMatchObject({ param: 'stream' });
  });

  it('leaves nothing stored and nothing in flight', async () => {
    await idle(deployment);
  });
});
