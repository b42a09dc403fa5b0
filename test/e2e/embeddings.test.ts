/** Vectors and tokens over HTTP, by the unmodified `openai` client where it has a method for them. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { embeddingsAnswerSchema } from '../../functions/embeddings/embeddings-schema.ts';
import { detokenizeAnswerSchema, tokenizeAnswerSchema } from '../../functions/tokens/tokens-schema.ts';
import { encoderFile } from '../gpu-sidecar/models/gguf/encoder-file.ts';
import { deploy, eventually, idle, metric, statusOf } from '../harness/deployment.ts';

let deployment: Deployment;
let client: OpenAI;
beforeAll(async () => {
  deployment = await deploy({ workers: 2, engine: 'llama' });
  client = new OpenAI({ baseURL: `${deployment.url}/v1`, apiKey: 'none', maxRetries: 0 });
}, 90_000);

const model = 'stator-tiny';
const dot = (a: readonly number[], b: readonly number[]) =>
  a.reduce((sum, value, at) => sum + value * b[at]!, 0);

async function post(path: string, body: object): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  return fetch(deployment.url + path, { method: 'POST', headers, body: JSON.stringify(body) });
}

describe('embeddings', () => {
  it('come to the openai client, which asks for base64, as the same numbers that others read as floats', async () => {
    const input = ['What is a KV router?', 'What does the KV router do?', 'the capital of Peru'];
    const answer = await client.embeddings.create({ model, input });
    const floats = await client.embeddings.create({ model, input, encoding_format: 'float' });
    const plain = embeddingsAnswerSchema.parse(
      await (await post('/v1/embeddings', { model, input: input[0] })).json(),
    );
    const [router, again, peru] = answer.data.map(({ embedding }) => embedding);
    expect(answer.data.map(({ index }) => index)).toEqual([0, 1, 2]);
    expect(router).toHaveLength(192);
    expect(dot(router!, router!)).toBeCloseTo(1, 5);
    expect(dot(router!, again!)).toBeGreaterThan(dot(router!, peru!));
    expect(floats.data[0]!.embedding).toHaveLength(192);
    expect(dot(floats.data[0]!.embedding, router!)).toBeCloseTo(1, 5);
    expect(dot(plain.data[0]!.embedding as number[], router!)).toBeCloseTo(1, 5);
    expect(answer.usage.prompt_tokens).toBe(answer.usage.total_tokens);
    expect(answer.usage.prompt_tokens).toBeGreaterThan(10);
  });

  it('of token ids are those of the text', async () => {
    const text = 'What is a lease?';
    const { tokens } = tokenizeAnswerSchema.parse(
      await (await post('/tokenize', { model, prompt: text })).json(),
    );
    const answer = await client.embeddings.create({ model, input: [tokens] });
    const ofText = await client.embeddings.create({ model, input: text });
    expect(dot(answer.data[0]!.embedding, ofText.data[0]!.embedding)).toBeCloseTo(1, 5);
    expect(answer.usage.prompt_tokens).toBe(tokens.length);
  });

  it('of as many texts as OpenAI takes come in order, from all workers, and leave nothing charged', async () => {
    const input = Array.from({ length: 2048 }, (_, at) => `text number ${at}`);
    const answer = await client.embeddings.create({ model, input });
    expect(answer.data.map(({ index }) => index)).toEqual(input.map((_, at) => at));
    const one = await client.embeddings.create({ model, input: input[2000]! });
    expect(dot(answer.data[2000]!.embedding, one.data[0]!.embedding)).toBeCloseTo(1, 4);
    await idle(deployment);
    expect(
      await metric(deployment, /frontend_requests_total.*endpoint="embeddings".*success/),
    ).toBeGreaterThan(5);
  });

  it('refuse what cannot be, by name', async () => {
    const refused = (body: object) =>
      client.embeddings.create({ model, input: 'a', ...body }).then(
        () => null,
        ({ status, code, param }) => [status, code, param],
      );
    const long = Array(1025).fill(5);
    expect(await refused({ input: ['a', 'b', 'c', 'word '.repeat(3000)] })).toEqual([
      400,
      'context_length_exceeded',
      'input[3]',
    ]);
    expect(await refused({ input: long })).toEqual([400, 'context_length_exceeded', 'input']);
    expect(await refused({ input: [[5], [99_999]] })).toEqual([400, 'invalid_request', 'input[1]']);
    expect(await refused({ dimensions: 64 })).toEqual([400, 'unsupported_parameter', 'dimensions']);
    expect(await refused({ dimensions: 192 })).toBeNull();
    expect(await refused({ model: 'nobody' })).toEqual([404, 'model_not_found', 'model']);
    expect(await refused({ input: [] })).toEqual([400, 'invalid_request', 'input']);
  });

  it('stop when the client leaves', async () => {
    const input = Array.from({ length: 1000 }, (_, at) => `${at} ${'many words '.repeat(60)}`);
    const leaving = new AbortController();
    const left = client.embeddings.create({ model, input }, { signal: leaving.signal }).catch(() => 'left');
    await eventually('work', async () => ((await statusOf(deployment)).inFlight > 0 ? true : null));
    leaving.abort();
    expect(await left).toBe('left');
    await idle(deployment);
  });

  it('are what the model says it has', async () => {
    const answer = (await (await fetch(`${deployment.url}/v1/models`)).json()) as {
      data: { types: string[]; embedding_dimensions: number }[];
    };
    expect(answer.data[0]).toMatchObject({ embedding_dimensions: 192 });
    expect(answer.data[0]!.types).toContain('embedding');
  });
});

describe('an encoder', () => {
  it('embeds, and refuses to generate', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'stator-encoder-'));
    const path = join(folder, 'encoder.gguf');
    writeFileSync(path, encoderFile());
    const encoder = await deploy({ workers: 1, engine: 'llama', model: path });
    const its = new OpenAI({ baseURL: `${encoder.url}/v1`, apiKey: 'none', maxRetries: 0 });
    const answer = await its.embeddings.create({
      model: 'small-encoder',
      input: ['the router', 'the cat sleeps'],
    });
    expect(answer.data.map(({ embedding }) => embedding.length)).toEqual([32, 32]);
    expect(dot(answer.data[0]!.embedding, answer.data[1]!.embedding)).toBeLessThan(0.9999);
    // With the [CLS] that stands before each text.
    expect(answer.usage.prompt_tokens).toBe(7);
    await expect(
      its.completions.create({ model: 'small-encoder', prompt: 'the cat', max_tokens: 2 }),
    ).rejects.toMatchObject({ status: 400, code: 'unsupported_parameter', param: 'model' });
    await idle(encoder);
    rmSync(folder, { recursive: true });
  });
});

describe('tokens', () => {
  it('of a prompt become its text again, with the text of each on request', async () => {
    const prompt = 'Grüße an the KV router 🙂';
    const answer = tokenizeAnswerSchema.parse(
      await (await post('/tokenize', { model, prompt, return_token_strs: true })).json(),
    );
    expect(answer.count).toBe(answer.tokens.length);
    expect(answer.max_model_len).toBe(1024);
    expect(answer.token_strs).toHaveLength(answer.count);
    const { tokens } = answer;
    const back = detokenizeAnswerSchema.parse(await (await post('/detokenize', { model, tokens })).json());
    expect(back.prompt).toBe(prompt);
  });

  it('of a chat are those that it is charged for, and end where the answer begins only when asked', async () => {
    const messages = [{ role: 'user' as const, content: 'What is a <|im_start|>lease?' }];
    const of = async (more: object) =>
      tokenizeAnswerSchema.parse(await (await post('/tokenize', { model, messages, ...more })).json());
    const whole = await of({ return_token_strs: true });
    const { usage } = await client.chat.completions.create({ model, messages, max_tokens: 1 });
    expect(whole.count).toBe(usage?.prompt_tokens);
    expect(whole.token_strs?.join('')).toBe(
      '<|im_start|>user\nWhat is a <|im_start|>lease?<|im_end|>\n<|im_start|>assistant\n',
    );
    const short = await of({ add_generation_prompt: false });
    expect(whole.tokens.slice(0, short.count)).toEqual(short.tokens);
    expect(short.count).toBeLessThan(whole.count);
  });

  it('are refused by name', async () => {
    const refused = async (path: string, body: object) => {
      const response = await post(path, { model, ...body });
      const { error } = (await response.json()) as { error: { param: string } };
      return [response.status, error.param];
    };
    expect(await refused('/tokenize', {})).toEqual([400, 'prompt']);
    expect(await refused('/tokenize', { prompt: 'a', messages: [] })).toEqual([400, 'messages']);
    expect(await refused('/tokenize', { messages: [{ role: 'king', content: 'a' }] })).toEqual([
      400,
      'messages[0].role',
    ]);
    expect(await refused('/detokenize', { tokens: [1, 'a'] })).toEqual([400, 'tokens[1]']);
    expect(await refused('/detokenize', { tokens: [1, 99_999] })).toEqual([400, 'tokens[1]']);
    expect(await refused('/detokenize', { tokens: [1], model: 'nobody' })).toEqual([404, 'model']);
  });
});
