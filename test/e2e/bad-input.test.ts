/** Bad input against real processes: each gets a clear error in OpenAI's form, and afterwards nothing is in flight. */

import { beforeAll, describe, expect, it } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { deploy, idle } from '../harness/deployment.ts';
import { chat } from '../harness/sse.ts';

let deployment: Deployment;
beforeAll(async () => {
  deployment = await deploy({
    workers: 1,
    engine: 'mock',
    modelName: 'stator-tiny',
    context: 1024,
    engineSpeedup: 0,
  });
}, 60_000);

const good = { model: 'stator-tiny', messages: [{ role: 'user', content: 'hi' }], max_tokens: 2 };

interface ErrorBody {
  error: { message: string; type: string; param: string | null; code: string };
}

const CASES: {
  name: string;
  body: Record<string, unknown>;
  status: number;
  param: string | null;
  says: RegExp;
}[] = [
  { name: 'no model', body: { messages: good.messages }, status: 400, param: 'model', says: /model/ },
  {
    name: 'an unknown model',
    body: { ...good, model: 'stator-tyny' },
    status: 404,
    param: 'model',
    says: /stator-tiny/,
  },
  { name: 'no messages', body: { model: 'stator-tiny' }, status: 400, param: 'messages', says: /messages/ },
  {
    name: 'empty messages',
    body: { ...good, messages: [] },
    status: 400,
    param: 'messages',
    says: /messages/,
  },
  {
    name: 'an unknown role',
    body: { ...good, messages: [{ role: 'king', content: 'x' }] },
    status: 400,
    param: 'messages[0].role',
    says: /role/,
  },
  {
    name: 'a number as content',
    body: { ...good, messages: [{ role: 'user', content: 5 }] },
    status: 400,
    param: 'messages[0].content',
    says: /content/,
  },
  {
    name: 'negative max_tokens',
    body: { ...good, max_tokens: -1 },
    status: 400,
    param: 'max_tokens',
    says: /max_tokens/,
  },
  {
    name: 'max_tokens as text',
    body: { ...good, max_tokens: 'ten' },
    status: 400,
    param: 'max_tokens',
    says: /max_tokens/,
  },
  {
    name: 'huge max_tokens',
    body: { ...good, max_tokens: 1e12 },
    status: 400,
    param: 'max_tokens',
    says: /max_tokens/,
  },
  {
    name: 'temperature 9',
    body: { ...good, temperature: 9 },
    status: 400,
    param: 'temperature',
    says: /temperature/,
  },
  {
    name: 'too long a prompt',
    body: { ...good, messages: [{ role: 'user', content: 'word '.repeat(5000) }] },
    status: 400,
    param: 'messages',
    says: /context length/,
  },
];

async function refusal(response: Response): Promise<ErrorBody['error']> {
  expect(response.headers.get('content-type')).toContain('application/json');
  expect(response.headers.get('x-request-id')).toMatch(/^req_/);
  return ((await response.json()) as ErrorBody).error;
}

describe('bad requests', () => {
  for (const { name, body, status, param, says } of CASES) {
    it(`${name}: ${status} naming ${param}`, async () => {
      for (const stream of [false, true]) {
        const response = await chat(deployment.url, { ...body, stream });
        expect(response.status).toBe(status);
        const error = await refusal(response);
        expect(error.param).toBe(param);
        expect(error.message).toMatch(says);
      }
    });
  }

  it('wrong JSON and invalid UTF-8: 400 invalid_json', async () => {
    for (const body of [
      '{"model": ',
      '[]]',
      new Uint8Array([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]),
    ]) {
      const response = await fetch(`${deployment.url}/v1/chat/completions`, { method: 'POST', body });
      expect(response.status).toBe(400);
      expect((await refusal(response)).code).toBe('invalid_json');
    }
  });

  it('a body of 100 MB: 413 before it is read', async () => {
    const megabyte = new Uint8Array(1024 * 1024).fill(0x20);
    let sent = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += 1;
        if (sent > 100) controller.close();
        else controller.enqueue(megabyte);
      },
    });
    const response = await fetch(`${deployment.url}/v1/chat/completions`, {
      method: 'POST',
      body,
      ...{ duplex: 'half' },
    }).catch(() => null);
    // The server may close while we still send: then there is no answer to read, but it did not take it all either.
    if (response) expect(response.status).toBe(413);
    expect(sent).toBeLessThan(100);
  });

  it('unknown paths and methods: 404 and 405 in the same form', async () => {
    const missing = await fetch(`${deployment.url}/v1/nothing`);
    expect([missing.status, (await refusal(missing)).code]).toEqual([404, 'not_found']);
    const method = await fetch(`${deployment.url}/v1/chat/completions`);
    expect([method.status, (await refusal(method)).code]).toEqual([405, 'method_not_allowed']);
    const model = await fetch(`${deployment.url}/v1/models/nope`);
    expect([model.status, (await refusal(model)).code]).toEqual([404, 'model_not_found']);
  });

  it('leaves nothing in flight and a platform that answers', async () => {
    await idle(deployment);
    const response = await chat(deployment.url, good);
    expect(response.status).toBe(200);
  });
});
