/** Forced calls and output formats of Anthropic's client, with a real model that is held to them token by token. */

import Anthropic from '@anthropic-ai/sdk';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { deploy } from '../harness/deployment.ts';
import { WEATHER } from '../harness/dictated.ts';

let deployment: Deployment;
let client: Anthropic;
beforeAll(async () => {
  deployment = await deploy({ workers: 1, engine: 'llama', toolCallParser: 'hermes' });
  client = new Anthropic({ baseURL: deployment.url, apiKey: 'any', maxRetries: 0 });
}, 90_000);

const { name, description } = WEATHER;
const input_schema = {
  type: 'object' as const,
  properties: { city: { enum: ['Ulm', 'Köln'] }, days: { type: 'integer', minimum: 1, maximum: 9 } },
  required: ['city', 'days'],
  additionalProperties: false,
};
const question = {
  model: 'stator-tiny',
  max_tokens: 300,
  temperature: 0,
  messages: [{ role: 'user' as const, content: 'What is a KV router?' }],
};
const tools = [{ name, description, input_schema }];

describe('the Anthropic client', () => {
  it.each([
    { type: 'any' as const },
    { type: 'tool' as const, name },
    { type: 'tool' as const, name, disable_parallel_tool_use: true },
  ])('makes the model call a tool: %j', async (tool_choice) => {
    const whole = await client.messages.create({ ...question, tools, tool_choice });
    const streamed = await client.messages.stream({ ...question, tools, tool_choice }).finalMessage();
    for (const { content, stop_reason } of [whole, streamed]) {
      expect(stop_reason).toBe('tool_use');
      const calls = content.filter((block) => block.type === 'tool_use');
      expect(calls.length).toBeGreaterThan(0);
      for (const call of calls) {
        expect(call.name).toBe(name);
        const { city, days } = call.input as { city: string; days: number };
        expect(['Ulm', 'Köln']).toContain(city);
        expect(days).toBeGreaterThanOrEqual(1);
      }
    }
    const inputsOf = ({ content }: Anthropic.Message) =>
      content.map((block) => (block.type === 'tool_use' ? block.input : block.type));
    expect(inputsOf(streamed)).toEqual(inputsOf(whole));
  });

  it('gets an answer in the form that it asked for', async () => {
    const format = { type: 'json_schema' as const, schema: input_schema };
    const { content } = await client.messages.create({ ...question, output_config: { format } });
    expect(content).toHaveLength(1);
    const [block] = content;
    expect(JSON.parse(block?.type === 'text' ? block.text : '')).toEqual({
      city: expect.stringMatching(/^(Ulm|Köln)$/),
      days: expect.any(Number),
    });
  });

  it('gets the same text streamed and whole', async () => {
    const whole = await client.messages.create(question);
    const text = await client.messages.stream(question).finalText();
    expect(whole.content).toEqual([{ type: 'text', text }]);
    expect(text.length).toBeGreaterThan(10);
    expect(whole.stop_reason).toBe('end_turn');
  });

  it('has the model go on with what the assistant has begun', async () => {
    const { content } = await client.messages.create(question);
    const text = content[0]?.type === 'text' ? content[0].text : '';
    const begun = text.slice(0, text.indexOf(' ', 12));
    const messages = [...question.messages, { role: 'assistant' as const, content: begun }];
    const rest = await client.messages.create({ ...question, messages });
    expect(rest.content[0]).toMatchObject({ type: 'text', text: expect.stringMatching(/^ /) });
    expect(begun + (rest.content[0]?.type === 'text' ? rest.content[0].text : '')).toBe(text);
  });
});
