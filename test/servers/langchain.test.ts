/** LangChain's chat models, unmodified, against both APIs. */

import { ChatAnthropic } from '@langchain/anthropic';
import { type AIMessageChunk, HumanMessage, ToolMessage, type UsageMetadata } from '@langchain/core/messages';
import { tool } from '@langchain/core/tools';
import { ChatOpenAI } from '@langchain/openai';
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
  saying,
  WEATHER,
  WEATHER_RESULT,
} from '../harness/dictated.ts';

let deployment: Deployment;
beforeAll(async () => {
  deployment = await deployDictated();
}, 90_000);

interface Options {
  model?: string;
  apiKey?: string;
  maxTokens?: number;
}

const MODELS = {
  ChatOpenAI: ({ model = MODEL, apiKey = API_KEY, maxTokens = 256 }: Options = {}) =>
    new ChatOpenAI({
      model,
      apiKey,
      maxTokens,
      maxRetries: 0,
      configuration: { baseURL: `${deployment.url}/v1` },
    }),
  ChatAnthropic: ({ model = MODEL, apiKey = API_KEY, maxTokens = 256 }: Options = {}) =>
    new ChatAnthropic({ model, apiKey, maxTokens, maxRetries: 0, anthropicApiUrl: deployment.url }),
};

const weather = tool(() => WEATHER_RESULT, {
  name: WEATHER.name,
  description: WEATHER.description,
  schema: WEATHER.parameters,
});

describe.each(Object.keys(MODELS) as (keyof typeof MODELS)[])('%s', (kind) => {
  const chat = (options?: Options) => MODELS[kind](options);

  it('gets the same text and usage, streamed and whole', async () => {
    const whole = await chat().invoke(saying('Grüße 😀, world.'));
    expect(whole.text).toBe('Grüße 😀, world.');
    const chunks: AIMessageChunk[] = [];
    for await (const chunk of await chat().stream(saying('Grüße 😀, world.'))) chunks.push(chunk);
    expect(chunks.map(({ text }) => text).join('')).toBe(whole.text);
    const together = chunks.reduce((all, chunk) => all.concat(chunk));
    const usage = whole.usage_metadata as UsageMetadata | undefined;
    expect(usage?.input_tokens).toBeGreaterThan(5);
    expect(together.usage_metadata).toMatchObject({
      input_tokens: usage?.input_tokens,
      output_tokens: usage?.output_tokens,
    });
  });

  it('has a tool called, streamed and whole, and goes on with its result', async () => {
    const model = chat().bindTools([weather]);
    const question = new HumanMessage(saying(`Let me look. ${CALL}`));
    const chunks: AIMessageChunk[] = [];
    for await (const chunk of await model.stream([question])) chunks.push(chunk);
    const streamed = chunks.reduce((all, chunk) => all.concat(chunk));
    const whole = await model.invoke([question]);
    for (const { tool_calls } of [streamed, whole]) {
      expect(tool_calls).toMatchObject([{ name: WEATHER.name, args: ARGUMENTS, id: expect.any(String) }]);
    }
    const [call] = whole.tool_calls ?? [];
    const result = await weather.invoke({ ...call!, type: 'tool_call' });
    expect(result).toBeInstanceOf(ToolMessage);
    const { text } = await model.invoke([question, whole, result]);
    expect(text).toBe(LAST_WORDS);
  });

  it('raises its own errors', async () => {
    const refused = (options: Options) =>
      chat(options)
        .invoke('x')
        .catch((thrown) => thrown);
    expect(await refused({ model: 'dictatde' })).toMatchObject({ status: 404 });
    expect(await refused({ apiKey: 'sk-wrong' })).toMatchObject({ status: 401 });
  });

  it('stops the engine when it leaves a stream', async () => {
    let pieces = 0;
    for await (const _ of await chat({ maxTokens: 2000 }).stream(saying('and so on '.repeat(400)))) {
      if (++pieces === 3) break;
    }
    expect(pieces).toBe(3);
    await idle(deployment, 2_000);
  });
});
