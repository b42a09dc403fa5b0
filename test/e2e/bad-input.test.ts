/** Bad input against real processes: each gets a clear error in OpenAI's form, and afterwards nothing is in flight. */

import { beforeAll, describe, expect, it } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import type { OpenApiDocument } from '../../functions/openapi/document.ts';
import { deploy, idle } from '../harness/deployment.ts';
import { chat } from '../harness/sse.ts';
import { violations } from '../harness/violations.ts';

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

const tool = (parameters: unknown) => ({
  tools: [{ type: 'function', function: { name: 'f', parameters } }],
});
const part = (content: unknown) => ({ messages: [{ role: 'user', content: [content] }] });
const deep = (levels: number): object => (levels === 0 ? {} : { items: deep(levels - 1) });
/** What only the parts of a request together show, or code behind the schemas finds. */
const BROKEN = [
  ['n of 10,000', { n: 10_000 }, 'n'],
  ['1,000 stop strings', { stop: Array(1000).fill('x') }, 'stop'],
  ['a field that nobody knows', { temprature: 1 }, 'temprature'],
  ['a template of its own', { chat_template: '{{ messages }}' }, 'chat_template'],
  ['functions of old', { functions: [{ name: 'f' }] }, 'functions'],
  ['an answer to hear', { modalities: ['text', 'audio'] }, 'modalities[1]'],
  ['half a character', { messages: [{ role: 'user', content: 'a\ud800' }] }, 'messages[0].content'],
  ['half a character to stop at', { stop: ['\udc00'] }, 'stop[0]'],
  [
    'an image',
    part({ type: 'image_url', image_url: { url: 'http://127.0.0.1/a.png' } }),
    'messages[0].content[0].type',
  ],
  ['a sound', part({ type: 'input_audio', input_audio: {} }), 'messages[0].content[0].type'],
  ['a file', part({ type: 'file', file: { file_data: '' } }), 'messages[0].content[0].type'],
  ['text without text', part({ type: 'text' }), 'messages[0].content[0].text'],
  ['a tool without a name', { tools: [{ type: 'function', function: {} }] }, 'tools[0].function.name'],
  ['a tool of another kind', { tools: [{ type: 'web_search' }] }, 'tools[0].type'],
  ['a schema of no type', tool({ type: 'objekt' }), 'tools[0].function.parameters.type'],
  ['a schema that is a list', tool([]), 'tools[0].function.parameters'],
  ['properties that are none', tool({ properties: [] }), 'tools[0].function.parameters.properties'],
  ['a reference to nowhere', tool({ $ref: '#/$defs/a' }), 'tools[0].function.parameters.$ref'],
  ['a schema of 100 levels', tool(deep(100)), 'tools[0].function.parameters'],
  ['tools for a model that calls none', tool({ items: { $ref: '#' } }), 'tools'],
  ['a choice without tools', { tool_choice: 'required' }, 'tool_choice'],
  [
    'a tool that is not there',
    { ...tool({}), tool_choice: { type: 'function', function: { name: 'g' } } },
    'tool_choice.function.name',
  ],
  ['likelihoods that nobody asked for', { top_logprobs: 3 }, 'top_logprobs'],
  ['more at least than at most', { min_tokens: 9 }, 'min_tokens'],
] as const;

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

  for (const [name, change, param] of BROKEN) {
    it(`${name}: 400 naming ${param}`, async () => {
      for (const stream of [false, true]) {
        const response = await chat(deployment.url, { ...good, ...change, stream });
        const error = await refusal(response);
        expect([response.status, error.param, error.type]).toEqual([400, param, 'invalid_request_error']);
      }
    });
  }

  it('a token that the model has not: 400 naming the field that it was sent in', async () => {
    const token = 2 ** 31;
    for (const [path, body, param] of [
      ['/v1/completions', { model: 'stator-tiny', prompt: [token] }, 'prompt'],
      ['/v1/chat/completions', { ...good, nvext: { token_data: [token] } }, 'nvext.token_data'],
      ['/router/generate', { model: 'stator-tiny', token_ids: [token] }, 'token_ids'],
    ] as const) {
      const response = await fetch(deployment.url + path, { method: 'POST', body: JSON.stringify(body) });
      const error = await refusal(response);
      expect([response.status, error.param]).toEqual([400, param]);
      expect(error.message).toContain(`${param}: token ${token}`);
    }
  });

  it('whatever the published schemas forbid: 400 naming the field', async () => {
    const published = await fetch(`${deployment.url}/openapi.json`);
    const { paths, components } = (await published.json()) as OpenApiDocument;
    for (const [path, body] of [
      ['/v1/chat/completions', good],
      ['/v1/completions', { model: 'stator-tiny', prompt: 'hi' }],
    ] as const) {
      const { $ref = '' } = paths[path]!['post']!.requestBody!.content['application/json']!.schema!;
      const schema = components.schemas[$ref.slice($ref.lastIndexOf('/') + 1)]!;
      const wrong: unknown[] = [];
      for (const { field, what, value } of violations(schema, '')) {
        if (field === '') continue;
        const init = { method: 'POST', body: JSON.stringify({ ...body, ...(value as object) }) };
        const response = await fetch(deployment.url + path, init);
        const { param } = await refusal(response);
        if (response.status !== 400 || param !== field) wrong.push([field, what, response.status, param]);
      }
      expect(wrong).toEqual([]);
    }
  });

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
