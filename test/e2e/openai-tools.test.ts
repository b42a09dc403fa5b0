/** Tools and reasoning through the unmodified `openai` client, against an engine that says what it is told to. */

import OpenAI from 'openai';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
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
let client: OpenAI;
beforeAll(async () => {
  deployment = await deployDictated();
  client = new OpenAI({ baseURL: `${deployment.url}/v1`, apiKey: API_KEY, maxRetries: 0 });
}, 90_000);

const weather = { type: 'function' as const, function: WEATHER };
const asking = (answer: string) => ({
  model: MODEL,
  tools: [weather],
  messages: [{ role: 'user' as const, content: saying(answer) }],
});

describe('the openai client', () => {
  it('has its tools called, streamed and whole', async () => {
    const question = asking(`${REASONING}Let me look. ${CALL}${CALL}`);
    const whole = (await client.chat.completions.create(question)).choices[0]!;
    const streamed = (await client.chat.completions.stream(question).finalChatCompletion()).choices[0]!;
    expect(whole.message).toMatchObject({ reasoning_content: 'Hm, é.' });
    for (const { message, finish_reason } of [whole, streamed]) {
      expect(finish_reason).toBe('tool_calls');
      expect(message.content).toBe('Let me look.');
      const calls = message.tool_calls?.map((call) =>
        call.type === 'function' ? [call.function.name, JSON.parse(call.function.arguments)] : null,
      );
      expect(calls).toEqual([
        [WEATHER.name, ARGUMENTS],
        [WEATHER.name, ARGUMENTS],
      ]);
    }
    const ids = [whole, streamed].flatMap(({ message }) => message.tool_calls?.map(({ id }) => id) ?? []);
    expect(new Set(ids).size).toBe(4);
  });

  it('gets one call where it wants no more, none where none may be made', async () => {
    const two = asking(CALL + CALL);
    const one = await client.chat.completions.create({ ...two, parallel_tool_calls: false });
    expect(one.choices[0]?.message.tool_calls).toHaveLength(1);
    const none = await client.chat.completions.create({ ...two, tool_choice: 'none' });
    expect(none.choices[0]?.message.tool_calls).toBeUndefined();
  });

  it('runs a tool by itself, with the helper of the client', async () => {
    const asked: unknown[] = [];
    const runner = client.chat.completions.runTools({
      ...asking(CALL),
      tools: [
        {
          type: 'function',
          function: {
            ...WEATHER,
            parse: JSON.parse,
            function: (given: object) => {
              asked.push(given);
              return WEATHER_RESULT;
            },
          },
        },
      ],
    });
    expect(await runner.finalContent()).toBe(LAST_WORDS);
    expect(asked).toEqual([ARGUMENTS]);
  });
});
