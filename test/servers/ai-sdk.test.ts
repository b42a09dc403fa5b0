/** The Vercel AI SDK, unmodified, through each of its providers that speaks one of our APIs. */

import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import {
  APICallError,
  generateText,
  jsonSchema,
  type LanguageModel,
  stepCountIs,
  streamText,
  tool,
} from 'ai';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { idle } from '../harness/deployment.ts';
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
beforeAll(async () => {
  Object.assign(globalThis, { AI_SDK_LOG_WARNINGS: false });
  deployment = await deployDictated();
}, 90_000);

const PROVIDERS: Record<string, (name: string, apiKey: string) => LanguageModel> = {
  '@ai-sdk/openai-compatible': (name, apiKey) =>
    createOpenAICompatible({ name: 'stator', baseURL: `${deployment.url}/v1`, apiKey, includeUsage: true })(
      name,
    ),
  '@ai-sdk/openai chat': (name, apiKey) =>
    createOpenAI({ baseURL: `${deployment.url}/v1`, apiKey }).chat(name),
  '@ai-sdk/openai responses': (name, apiKey) =>
    createOpenAI({ baseURL: `${deployment.url}/v1`, apiKey }).responses(name),
  '@ai-sdk/anthropic': (name, apiKey) => createAnthropic({ baseURL: `${deployment.url}/v1`, apiKey })(name),
};
/** OpenAI's own provider knows no reasoning in chats, and shows summaries alone of responses. */
const REASONS = ['@ai-sdk/openai-compatible', '@ai-sdk/anthropic'];

const toolsOf = (asked: unknown[]) => ({
  [WEATHER.name]: tool({
    description: WEATHER.description,
    inputSchema: jsonSchema<{ city: string }>(WEATHER.parameters),
    execute: (input) => {
      asked.push(input);
      return WEATHER_RESULT;
    },
  }),
});

describe.each(Object.keys(PROVIDERS))('%s', (provider) => {
  const model = (name = MODEL, apiKey = API_KEY) => PROVIDERS[provider]!(name, apiKey);
  const ask = (answer: string) => ({ model: model(), prompt: saying(answer), maxRetries: 0 });

  it('gets the same text and usage, streamed and whole', async () => {
    const whole = await generateText(ask(`${REASONING}Grüße 😀, world.`));
    expect(whole.text).toBe('Grüße 😀, world.');
    expect(whole.finishReason).toBe('stop');
    const streamed = streamText(ask(`${REASONING}Grüße 😀, world.`));
    const pieces: string[] = [];
    for await (const piece of streamed.textStream) pieces.push(piece);
    expect(pieces.join('')).toBe(whole.text);
    expect(pieces.length).toBeGreaterThan(2);
    expect(whole.usage.inputTokens).toBeGreaterThan(5);
    expect(await streamed.usage).toMatchObject({
      inputTokens: whole.usage.inputTokens,
      outputTokens: whole.usage.outputTokens,
    });
    const reasoning = REASONS.includes(provider) ? 'Hm, é.' : undefined;
    expect([whole.reasoningText, await streamed.reasoningText]).toEqual([reasoning, reasoning]);
  });

  it('runs a tool and goes on with its result, streamed and whole', async () => {
    const asked: unknown[] = [];
    const options = { ...ask(`Let me look. ${CALL}`), tools: toolsOf(asked), stopWhen: stepCountIs(3) };
    const whole = await generateText(options);
    expect(whole.text).toBe(LAST_WORDS);
    expect(whole.steps.map(({ finishReason }) => finishReason)).toEqual(['tool-calls', 'stop']);
    const streamed = streamText(options);
    expect(await streamed.text).toBe(LAST_WORDS);
    expect((await streamed.steps).map(({ text }) => text)).toEqual(['Let me look.', LAST_WORDS]);
    expect(asked).toEqual([ARGUMENTS, ARGUMENTS]);
  });

  it('says when an answer was cut', async () => {
    const { finishReason } = await generateText({ ...ask('one two three four'), maxOutputTokens: 2 });
    expect(finishReason).toBe('length');
  });

  it('stops where it was told to, if its API has stop strings', async () => {
    const { text } = await generateText({ ...ask('one, two, three'), stopSequences: ['thr'] });
    expect(text.trim()).toBe(provider.endsWith('responses') ? 'one, two, three' : 'one, two,');
  });

  it('raises its own errors', async () => {
    const refused = async (wrong: LanguageModel) => {
      const error = await generateText({ ...ask('x'), model: wrong }).catch((thrown) => thrown);
      expect(APICallError.isInstance(error)).toBe(true);
      return error as APICallError;
    };
    const unknown = await refused(model('dictatde'));
    expect(unknown).toMatchObject({ statusCode: 404, isRetryable: false });
    expect(unknown.message).toContain("'dictatde'");
    expect((await refused(model(MODEL, 'sk-wrong'))).statusCode).toBe(401);
  });

  it('stops the engine when it leaves a stream', async () => {
    const controller = new AbortController();
    const long = saying('and so on '.repeat(400));
    const stream = streamText({ ...ask(''), prompt: long, abortSignal: controller.signal });
    let pieces = 0;
    for await (const _ of stream.textStream) if (++pieces === 3) controller.abort();
    await idle(deployment, 2_000);
  });
});
