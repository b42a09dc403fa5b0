/** The unmodified `@anthropic-ai/sdk` client against a real deployment, with an engine that says what it is told to. */

import Anthropic from '@anthropic-ai/sdk';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { idle, statusOf } from '../harness/deployment.ts';
import {
  API_KEY,
  ARGUMENTS,
  CALL,
  deployDictated,
  LAST_WORDS,
  MODEL,
  REASONING,
  saying,
  WEATHER,
  WEATHER_RESULT,
} from '../harness/dictated.ts';

let deployment: Deployment;
let client: Anthropic;
beforeAll(async () => {
  deployment = await deployDictated();
  client = new Anthropic({ baseURL: deployment.url, apiKey: API_KEY, maxRetries: 0 });
}, 90_000);

const asking = (answer: string) => ({
  model: MODEL,
  max_tokens: 512,
  messages: [{ role: 'user' as const, content: saying(answer) }],
});

const { name, description, parameters } = WEATHER;
const weather: Anthropic.Tool = { name, description, input_schema: parameters };

describe('the Anthropic client', () => {
  it('gets the same message streamed and whole, with thinking and text', async () => {
    const question = asking(`${REASONING}Grüße 😀, world.`);
    const whole = await client.messages.create(question);
    expect(whole.content).toEqual([
      { type: 'thinking', thinking: 'Hm, é.', signature: expect.stringMatching(/^sig_/) },
      { type: 'text', text: 'Grüße 😀, world.' },
    ]);
    expect(whole).toMatchObject({ role: 'assistant', stop_reason: 'end_turn', stop_sequence: null });
    const stream = client.messages.stream(question);
    let text = '';
    stream.on('text', (delta) => {
      text += delta;
    });
    const streamed = await stream.finalMessage();
    expect(text).toBe('Grüße 😀, world.');
    const [thought, said] = streamed.content;
    expect(thought).toMatchObject({ type: 'thinking', thinking: 'Hm, é.' });
    expect(said).toEqual(whole.content[1]);
    expect(streamed.usage.output_tokens).toBe(whole.usage.output_tokens);
  });

  it('has its tools called, one after the other, and goes on with their results', async () => {
    const question = { ...asking(`Let me look. ${CALL}`), tools: [weather] };
    const whole = await client.messages.create(question);
    const call = { type: 'tool_use', id: expect.stringMatching(/^toolu_/), name, input: ARGUMENTS };
    expect(whole.content).toEqual([{ type: 'text', text: 'Let me look.' }, call]);
    expect(whole.stop_reason).toBe('tool_use');
    const streamed = await client.messages.stream(question).finalMessage();
    expect(streamed.content).toEqual([{ type: 'text', text: 'Let me look.' }, call]);
    expect(streamed.stop_reason).toBe('tool_use');

    const { id } = streamed.content[1] as Anthropic.ToolUseBlock;
    const result = { type: 'tool_result' as const, tool_use_id: id, content: WEATHER_RESULT };
    const answer = await client.messages.create({
      ...question,
      messages: [
        ...question.messages,
        { role: 'assistant', content: streamed.content },
        { role: 'user', content: [result] },
      ],
    });
    expect(answer.content).toEqual([{ type: 'text', text: LAST_WORDS }]);
    expect(answer.stop_reason).toBe('end_turn');
  });

  it('runs a tool by itself, with the helper of the client', async () => {
    const asked: unknown[] = [];
    const runner = client.beta.messages.toolRunner({
      ...asking(CALL),
      tools: [
        {
          ...weather,
          run: (given: unknown) => {
            asked.push(given);
            return '«Sunny, then.»';
          },
          parse: (given: unknown) => given,
        },
      ],
    });
    const { content } = await runner.runUntilDone();
    expect(asked).toEqual([ARGUMENTS]);
    expect(content).toEqual([{ type: 'text', text: 'Sunny, then.' }]);
  });

  it('gets one call where it wants no more, none where none may be made', async () => {
    const two = { ...asking(CALL + CALL), tools: [weather] };
    const namesOf = ({ content }: Anthropic.Message) => content.map(({ type }) => type);
    expect(namesOf(await client.messages.create(two))).toEqual(['tool_use', 'tool_use']);
    const tool_choice = { type: 'auto' as const, disable_parallel_tool_use: true };
    expect(namesOf(await client.messages.create({ ...two, tool_choice }))).toEqual(['tool_use']);
    const none = await client.messages.create({ ...two, tool_choice: { type: 'none' } });
    expect(namesOf(none)).toEqual(['text']);
  });

  it('is told which stop sequence ended the answer, or that it was cut', async () => {
    const stopped = await client.messages.create({
      ...asking('one, two, three'),
      stop_sequences: ['four', 'thr'],
    });
    expect(stopped).toMatchObject({ stop_reason: 'stop_sequence', stop_sequence: 'thr' });
    expect(stopped.content).toEqual([{ type: 'text', text: 'one, two, ' }]);
    const cut = await client.messages.create({ ...asking('a long answer, which never ends'), max_tokens: 2 });
    expect(cut).toMatchObject({ stop_reason: 'max_tokens', usage: { output_tokens: 2 } });
  });

  it('sees usage that adds up, and what was read from the cache', async () => {
    const long = asking(`fine${' and so on'.repeat(60)}`);
    const first = await client.messages.create(long);
    const { usage } = await client.messages.create(long);
    expect(first.usage.cache_read_input_tokens).toBeLessThan(64);
    expect(usage.cache_read_input_tokens).toBeGreaterThan(100);
    expect(usage.input_tokens + (usage.cache_read_input_tokens ?? 0)).toBe(
      first.usage.input_tokens + (first.usage.cache_read_input_tokens ?? 0),
    );
    const streamed = await client.messages.stream(long).finalMessage();
    expect(streamed.usage).toMatchObject(usage);
  });

  it('counts tokens as the answer does', async () => {
    const question = {
      ...asking('x'),
      system: [{ type: 'text' as const, text: 'Be brief.', cache_control: { type: 'ephemeral' as const } }],
      tools: [weather],
    };
    const { max_tokens, ...prompt } = question;
    const { input_tokens } = await client.messages.countTokens(prompt);
    const { usage } = await client.messages.create(question);
    expect(input_tokens).toBe(usage.input_tokens + (usage.cache_read_input_tokens ?? 0));
    const tooLong = { ...prompt, messages: [{ role: 'user' as const, content: 'word '.repeat(9000) }] };
    expect((await client.messages.countTokens(tooLong)).input_tokens).toBeGreaterThan(4096);
  });

  it('lists models', async () => {
    const ids: string[] = [];
    for await (const { id, type, display_name } of client.models.list()) {
      ids.push(id);
      expect([type, display_name]).toEqual(['model', MODEL]);
    }
    expect(ids).toEqual([MODEL]);
    expect(await client.models.retrieve(MODEL)).toMatchObject({ id: MODEL, type: 'model' });
  });

  it('raises its own errors, with the field and the id of the request', async () => {
    const good = asking('x');
    const refused = async (body: object) => {
      const error = await client.messages.create({ ...good, ...body } as never).catch((thrown) => thrown);
      expect(error).toBeInstanceOf(Anthropic.BadRequestError);
      expect(error.requestID).toMatch(/^req_/);
      expect(error.error).toMatchObject({ type: 'error', request_id: error.requestID });
      return error.error.error;
    };
    expect(await refused({ max_tokens: undefined })).toEqual({
      type: 'invalid_request_error',
      message: 'max_tokens: Field required',
    });
    expect((await refused({ messages: [] })).message).toBe('messages: at least one message is required');
    const source = { type: 'base64', media_type: 'image/png', data: 'AAAA' };
    const image = [{ role: 'user', content: [{ type: 'image', source }] }];
    expect((await refused({ messages: image })).message).toMatch(/^messages\.0\.content\.0\.type: /);

    const unknown = await client.messages.create({ ...good, model: 'dictatde' }).catch((thrown) => thrown);
    expect(unknown).toBeInstanceOf(Anthropic.NotFoundError);
    expect(unknown.error.error).toMatchObject({
      type: 'not_found_error',
      message: expect.stringContaining(MODEL),
    });
    const stranger = new Anthropic({ baseURL: deployment.url, apiKey: 'sk-wrong', maxRetries: 0 });
    await expect(stranger.messages.create(good)).rejects.toBeInstanceOf(Anthropic.AuthenticationError);
    const bearer = new Anthropic({ baseURL: deployment.url, authToken: API_KEY, apiKey: null });
    expect((await bearer.messages.create(good)).content).toEqual([{ type: 'text', text: 'x' }]);
  });

  it('stops the engine when it aborts a stream', async () => {
    const stream = client.messages.stream({ ...asking('x'), max_tokens: 3000, ...{ ignore_eos: true } });
    let deltas = 0;
    stream.on('streamEvent', ({ type }) => {
      if (type === 'content_block_delta' && ++deltas === 3) stream.abort();
    });
    await expect(stream.finalMessage()).rejects.toBeInstanceOf(Anthropic.APIUserAbortError);
    await idle(deployment, 2_000);
    expect((await statusOf(deployment)).inFlight).toBe(0);
  });
});
