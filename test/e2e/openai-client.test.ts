/** The unmodified `openai` npm client against a real deployment. */

import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { deploy, eventually, idle, statusOf } from '../harness/deployment.ts';

let deployment: Deployment;
let client: OpenAI;
beforeAll(async () => {
  deployment = await deploy({ workers: 1, engine: 'llama', apiKey: 'sk-stator-test' });
  client = new OpenAI({ baseURL: `${deployment.url}/v1`, apiKey: 'sk-stator-test', maxRetries: 0 });
}, 90_000);

const question = {
  model: 'stator-tiny',
  messages: [{ role: 'user' as const, content: 'What is a KV router?' }],
  temperature: 0,
  max_tokens: 60,
};

describe('the openai client', () => {
  it('gets the same text streamed and whole', async () => {
    const whole = await client.chat.completions.create(question);
    const stream = await client.chat.completions.create({ ...question, stream: true });
    let text = '';
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    expect(text.length).toBeGreaterThan(10);
    expect(text).toBe(whole.choices[0]?.message.content);
    expect(whole.choices[0]?.finish_reason).toBe('stop');
  });

  it('sees usage that adds up, and cached tokens on the second try', async () => {
    const messages = [
      { role: 'user' as const, content: `Please explain routing. ${'Take your time. '.repeat(30)}` },
    ];
    const first = await client.chat.completions.create({ ...question, messages });
    const second = await client.chat.completions.create({ ...question, messages });
    for (const { usage } of [first, second]) {
      expect(usage?.total_tokens).toBe((usage?.prompt_tokens ?? 0) + (usage?.completion_tokens ?? 0));
    }
    expect(first.usage?.prompt_tokens_details?.cached_tokens).toBeLessThan(32);
    expect(second.usage?.prompt_tokens_details?.cached_tokens).toBeGreaterThan(100);
    const stream = await client.chat.completions.create({
      ...question,
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    const usages = [];
    for await (const chunk of stream) if (chunk.usage) usages.push(chunk.usage);
    expect(usages).toHaveLength(1);
    expect(usages[0]?.prompt_tokens).toBe(second.usage?.prompt_tokens);
    expect(usages[0]?.completion_tokens).toBe(second.usage?.completion_tokens);
  });

  it('stops the engine when it aborts a stream', async () => {
    const stream = await client.chat.completions.create({
      ...question,
      max_tokens: 900,
      stream: true,
      ...{ ignore_eos: true },
    });
    let chunks = 0;
    for await (const chunk of stream) {
      chunks += chunk.choices.length;
      if (chunks === 3) stream.controller.abort();
    }
    await idle(deployment, 2_000);
    expect((await statusOf(deployment)).inFlight).toBe(0);
  });

  it('completes plain prompts and lists models', async () => {
    const completion = await client.completions.create({
      model: 'stator-tiny',
      prompt: 'Stator is',
      max_tokens: 8,
    });
    expect(completion.object).toBe('text_completion');
    expect(completion.usage?.completion_tokens).toBeGreaterThan(0);
    const models = await client.models.list();
    expect(models.data.map(({ id }) => id)).toEqual(['stator-tiny']);
    expect((await client.models.retrieve('stator-tiny')).object).toBe('model');
  });

  it('gets several choices, the same streamed and whole, each its own', async () => {
    const sampled = {
      ...question,
      n: 3,
      temperature: 2,
      seed: 5,
      max_tokens: 40,
      ...{ ignore_eos: true },
      logprobs: true,
      top_logprobs: 2,
    };
    const whole = await client.chat.completions.create(sampled);
    const texts = ['', '', ''];
    const tokens = [0, 0, 0];
    const stream = await client.chat.completions.create({ ...sampled, stream: true });
    for await (const { choices } of stream) {
      for (const { index, delta, logprobs } of choices) {
        texts[index] += delta.content ?? '';
        tokens[index]! += logprobs?.content?.length ?? 0;
      }
    }
    expect(whole.choices.map(({ message }) => message.content)).toEqual(texts);
    expect(new Set(texts).size).toBe(3);
    expect(whole.choices.map(({ logprobs }) => logprobs?.content?.length)).toEqual(tokens);
    expect(whole.usage?.completion_tokens).toBe(tokens[0]! + tokens[1]! + tokens[2]!);
    for (const { top_logprobs, logprob } of whole.choices[0]?.logprobs?.content ?? []) {
      expect(logprob).toBeLessThanOrEqual(0);
      expect(top_logprobs).toHaveLength(2);
      expect(logprob).toBeLessThanOrEqual(top_logprobs[0]!.logprob);
    }
  });

  it('is told what the model cannot do', async () => {
    const tools = [{ type: 'function' as const, function: { name: 'f' } }];
    const cannot = { status: 400, code: 'unsupported_parameter' };
    await expect(client.chat.completions.create({ ...question, tools })).rejects.toMatchObject({
      ...cannot,
      param: 'tools',
    });
  });

  it('gets typed answers', async () => {
    const shape = z.object({ kind: z.enum(['router', 'cache']), blocks: z.int().min(1).max(99) });
    const response_format = zodResponseFormat(shape, 'thing');
    const { choices } = await client.chat.completions.parse({
      ...question,
      max_tokens: 200,
      response_format,
    });
    expect(shape.parse(choices[0]?.message.parsed)).toEqual(JSON.parse(choices[0]?.message.content ?? ''));
  });

  it('gets typed errors', async () => {
    await expect(client.chat.completions.create({ ...question, model: 'stator-tyni' })).rejects.toMatchObject(
      {
        status: 404,
        code: 'model_not_found',
        message: expect.stringContaining('stator-tiny'),
      },
    );
    await expect(client.chat.completions.create({ ...question, messages: [] })).rejects.toMatchObject({
      status: 400,
      param: 'messages',
    });
    const stranger = new OpenAI({ baseURL: `${deployment.url}/v1`, apiKey: 'sk-wrong', maxRetries: 0 });
    await expect(stranger.models.list()).rejects.toMatchObject({ status: 401, code: 'invalid_api_key' });
    await eventually('an idle router', async () => ((await statusOfWithKey()).inFlight === 0 ? true : null));
  });
});

const statusOfWithKey = () => statusOf(deployment);
