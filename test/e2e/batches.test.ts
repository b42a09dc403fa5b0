/** Files and batches by the unmodified `openai` client: worked off, refused by line, cancelled, and after a kill of workerd. */

import OpenAI, { toFile } from 'openai';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { deploy, eventually, idle, statusOf } from '../harness/deployment.ts';

const apiKey = 'sk-stator-test';
let deployment: Deployment;
let client: OpenAI;
beforeAll(async () => {
  deployment = await deploy({ workers: 2, engine: 'mock', mockDecodeMs: 10, apiKey });
  client = new OpenAI({ baseURL: `${deployment.url}/v1`, apiKey, maxRetries: 0 });
}, 90_000);

type Batch = OpenAI.Batches.Batch;
interface OutputLine {
  id: string;
  custom_id: string;
  response: { status_code: number; request_id: string; body: Record<string, unknown> } | null;
  error: { code: string; message: string } | null;
}

const chatLine = (name: string, body: object = {}) => ({
  custom_id: name,
  method: 'POST',
  url: '/v1/chat/completions',
  body: { model: 'mock', messages: [{ role: 'user', content: `Say ${name}.` }], max_tokens: 4, ...body },
});

async function send(lines: readonly unknown[]): Promise<string> {
  const text = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n');
  const file = await client.files.create({
    file: await toFile(Buffer.from(text), 'in.jsonl'),
    purpose: 'batch',
  });
  return file.id;
}

async function begin(lines: readonly unknown[], more: object = {}): Promise<Batch> {
  return client.batches.create({
    input_file_id: await send(lines),
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
    ...more,
  });
}

const until = (id: string, states: readonly string[], timeoutMs = 60_000): Promise<Batch> =>
  eventually(
    `batch ${states}`,
    async () => {
      const batch = await client.batches.retrieve(id).catch(() => null);
      return batch !== null && states.includes(batch.status) ? batch : null;
    },
    timeoutMs,
  );

const ENDS = ['completed', 'failed', 'expired', 'cancelled'];

async function linesOf(fileId: string | null | undefined): Promise<OutputLine[]> {
  if (fileId == null) return [];
  const text = await (await client.files.content(fileId)).text();
  expect(text.endsWith('\n')).toBe(true);
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as OutputLine);
}

describe('files', () => {
  it('are sent, listed, read and deleted', async () => {
    const bytes = Buffer.alloc(700_000, 'Grüße\n');
    const file = await client.files.create({ file: await toFile(bytes, 'a "b" ü.jsonl'), purpose: 'batch' });
    expect(file).toMatchObject({
      object: 'file',
      bytes: 700_000,
      filename: 'a "b" ü.jsonl',
      purpose: 'batch',
    });
    expect(await client.files.retrieve(file.id)).toEqual(file);
    const content = Buffer.from(await (await client.files.content(file.id)).arrayBuffer());
    expect(content.equals(bytes)).toBe(true);
    const others = [await send(['{}']), await send(['{}'])];
    const listed: string[] = [];
    for await (const each of client.files.list({ limit: 1, order: 'asc' })) listed.push(each.id);
    expect(listed.slice(-3)).toEqual([file.id, ...others]);
    expect(await client.files.delete(file.id)).toEqual({ id: file.id, object: 'file', deleted: true });
    await expect(client.files.retrieve(file.id)).rejects.toMatchObject({ status: 404 });
    await expect(client.files.content(file.id)).rejects.toMatchObject({ status: 404 });
  });

  it('are refused by field', async () => {
    const file = await toFile(Buffer.from('x'), 'x.jsonl');
    await expect(client.files.create({ file, purpose: 'fine-tune' })).rejects.toMatchObject({
      status: 400,
      param: 'purpose',
    });
    const form = new FormData();
    form.set('purpose', 'batch');
    const headers = { authorization: `Bearer ${apiKey}` };
    const without = await fetch(`${deployment.url}/v1/files`, { method: 'POST', headers, body: form });
    expect(without.status).toBe(400);
    expect(await without.json()).toMatchObject({ error: { param: 'file' } });
    const large = await fetch(`${deployment.url}/v1/files`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'multipart/form-data; boundary=b' },
      body: Buffer.alloc(101 * 1024 * 1024),
    }).catch((error: Error) => error);
    expect(large instanceof Error ? 413 : large.status).toBe(413);
  });
});

describe('a batch', () => {
  it('is answered line by line, errors apart, and nothing stays charged', async () => {
    const lines = Array.from({ length: 40 }, (_, at) => chatLine(`line-${at}`));
    const bad = [chatLine('bad-words', { messages: [] }), chatLine('bad-field', { temperature: 9 })];
    const created = await begin([...lines, '', ...bad], { metadata: { for: 'test' } });
    expect(created).toMatchObject({ object: 'batch', status: 'validating', metadata: { for: 'test' } });
    const batch = await until(created.id, ENDS);
    expect(batch).toMatchObject({
      status: 'completed',
      errors: null,
      request_counts: { total: 42, completed: 40, failed: 2 },
    });
    expect(batch.completed_at).toBeGreaterThanOrEqual(batch.in_progress_at!);
    const answers = await linesOf(batch.output_file_id);
    expect(answers.map(({ custom_id }) => custom_id)).toEqual(lines.map(({ custom_id }) => custom_id));
    for (const { id, response, error } of answers) {
      expect(id).toMatch(/^batch_req_/);
      expect(error).toBeNull();
      expect(response).toMatchObject({ status_code: 200, body: { object: 'chat.completion' } });
      expect(response?.request_id).toMatch(/^req_/);
    }
    const errors = await linesOf(batch.error_file_id);
    expect(errors.map(({ custom_id, response }) => [custom_id, response?.status_code])).toEqual([
      ['bad-words', 400],
      ['bad-field', 400],
    ]);
    expect(await client.files.retrieve(batch.output_file_id!)).toMatchObject({ purpose: 'batch_output' });
    const [newest] = (await client.batches.list({ limit: 1 })).data;
    expect(newest).toEqual(batch);
    await idle(deployment);
  });

  it('of embeddings, completions and responses too', async () => {
    const response = {
      custom_id: 'r',
      method: 'POST',
      url: '/v1/responses',
      body: { model: 'mock', input: 'Say hi.', max_output_tokens: 4, store: false },
    };
    const embedding = {
      custom_id: 'e',
      method: 'POST',
      url: '/v1/embeddings',
      body: { model: 'mock', input: ['a', 'b'] },
    };
    const completion = {
      custom_id: 'c',
      method: 'POST',
      url: '/v1/completions',
      body: { model: 'mock', prompt: 'a', max_tokens: 2 },
    };
    const one = await until((await begin([embedding], { endpoint: '/v1/embeddings' })).id, ENDS);
    const two = await until((await begin([completion], { endpoint: '/v1/completions' })).id, ENDS);
    const three = await until((await begin([response], { endpoint: '/v1/responses' })).id, ENDS);
    expect(await linesOf(three.error_file_id)).toEqual([]);
    expect((await linesOf(three.output_file_id))[0]?.response?.body['object']).toBe('response');
    expect((await linesOf(one.output_file_id))[0]?.response?.body['data']).toHaveLength(2);
    expect((await linesOf(two.output_file_id))[0]?.response?.body['object']).toBe('text_completion');
  });

  it('fails with what is wrong by line, before anything is sent', async () => {
    const created = await begin([
      chatLine('a'),
      '{"custom_id": ',
      chatLine('a'),
      { ...chatLine('b'), url: '/v1/completions' },
      { ...chatLine('c'), method: 'GET' },
      { custom_id: 'd', method: 'POST', url: '/v1/chat/completions' },
      chatLine('e', { stream: true }),
    ]);
    const batch = await until(created.id, ENDS);
    expect(batch).toMatchObject({ status: 'failed', request_counts: { total: 0 }, output_file_id: null });
    expect(batch.errors?.data?.map(({ code, line, param }) => [code, line, param])).toEqual([
      ['invalid_json_line', 2, null],
      ['duplicate_custom_id', 3, 'custom_id'],
      ['invalid_url', 4, 'url'],
      ['invalid_method', 5, 'method'],
      ['missing_required_parameter', 6, 'body'],
      ['unsupported_parameter', 7, 'body.stream'],
    ]);
    const empty = await until((await begin(['\n\n'])).id, ENDS);
    expect(empty.errors?.data?.[0]).toMatchObject({ code: 'empty_file', line: null });
  });

  it('is refused by field', async () => {
    const input_file_id = await send([chatLine('a')]);
    const refused = (body: object) =>
      client.batches
        .create({ input_file_id, endpoint: '/v1/chat/completions', completion_window: '24h', ...body })
        .then(
          () => null,
          ({ status, param }) => [status, param],
        );
    expect(await refused({ endpoint: '/v1/audio' })).toEqual([400, 'endpoint']);
    expect(await refused({ completion_window: '1h' })).toEqual([400, 'completion_window']);
    expect(await refused({ input_file_id: 'file-none' })).toEqual([404, 'input_file_id']);
    expect(await refused({ metadata: { a: 1 } })).toEqual([400, 'metadata.a']);
    await expect(client.batches.retrieve('batch_none')).rejects.toMatchObject({ status: 404 });
    await expect(client.batches.cancel('batch_none')).rejects.toMatchObject({ status: 404 });
  });

  it('that is cancelled stops within a second, keeps what it has, and says what it has not', async () => {
    const lines = Array.from({ length: 60 }, (_, at) =>
      chatLine(`line-${at}`, at < 8 ? {} : { max_tokens: 3_000, ...{ ignore_eos: true } }),
    );
    const created = await begin(lines);
    await eventually('answers', async () =>
      (await client.batches.retrieve(created.id)).request_counts!.completed >= 8 ? true : null,
    );
    await eventually('work', async () => ((await status()).inFlight >= 10 ? true : null));
    await expect(client.files.delete(created.input_file_id)).rejects.toMatchObject({ status: 400 });
    const cancelledMs = performance.now();
    expect((await client.batches.cancel(created.id)).status).toMatch(/^cancell/);
    await eventually('an idle fleet', async () => {
      const { inFlight, workers } = await status();
      return inFlight === 0 && workers.every(({ running, waiting }) => running + waiting === 0) ? true : null;
    });
    expect(performance.now() - cancelledMs).toBeLessThan(1_000);
    const batch = await until(created.id, ENDS);
    expect(batch.status).toBe('cancelled');
    const done = await linesOf(batch.output_file_id);
    const not = await linesOf(batch.error_file_id);
    expect(done).toHaveLength(8);
    expect(not).toHaveLength(52);
    expect(new Set(not.map(({ error }) => error?.code))).toEqual(new Set(['batch_cancelled']));
    expect(await client.files.delete(created.input_file_id)).toMatchObject({ deleted: true });
  });

  it('goes on after workerd is killed, and answers each line once', async () => {
    const lines = Array.from({ length: 120 }, (_, at) => chatLine(`line-${at}`, { max_tokens: 20 }));
    const created = await begin(lines);
    await eventually('some answers', async () =>
      (await client.batches.retrieve(created.id)).request_counts!.completed >= 20 ? true : null,
    );
    process.kill(deployment.platform.pid as number, 'SIGKILL');
    // Nobody asks for the batch: its object's alarm brings it back.
    await eventually(
      'the batch to go on by itself',
      async () => (((await status().catch(() => null))?.inFlight ?? 0) > 0 ? true : null),
      30_000,
    );
    const batch = await until(created.id, ENDS);
    expect(batch).toMatchObject({
      status: 'completed',
      request_counts: { total: 120, completed: 120, failed: 0 },
    });
    const answers = await linesOf(batch.output_file_id);
    expect(answers.map(({ custom_id }) => custom_id)).toEqual(lines.map(({ custom_id }) => custom_id));
  }, 120_000);
});

describe('requests of a batch', () => {
  it('go behind those of people, in the queue of the router', async () => {
    // One prompt at a time: everybody else waits in the router.
    const busy = await deploy({ workers: 1, engine: 'mock', routerQueueThreshold: 0 });
    const people = new OpenAI({ baseURL: `${busy.url}/v1`, apiKey: 'none', maxRetries: 0 });
    const prompt = 'How does this go on? '.repeat(40);
    const text = Array.from({ length: 600 }, (_, at) => {
      const body = { model: 'mock', prompt: `${at} ${prompt}`, max_tokens: 1 };
      return JSON.stringify({ custom_id: `${at}`, method: 'POST', url: '/v1/completions', body });
    }).join('\n');
    const file = await people.files.create({ file: await toFile(Buffer.from(text), 'in'), purpose: 'batch' });
    const { id } = await people.batches.create({
      input_file_id: file.id,
      endpoint: '/v1/completions',
      completion_window: '24h',
    });
    const completed = async () => (await people.batches.retrieve(id)).request_counts!.completed;
    await eventually('a batch in work', async () => ((await completed()) >= 20 ? true : null));
    const before = await completed();
    for (let at = 0; at < 10; at++) {
      await people.completions.create({ model: 'mock', prompt: `person ${at} ${prompt}`, max_tokens: 1 });
    }
    // First come, first served would let the 16 that wait go before each of the ten.
    expect((await completed()) - before).toBeLessThan(80);
    expect((await people.batches.cancel(id)).status).toBe('cancelling');
    await idle(busy);
  });
});

const status = () => statusOf(deployment);
