/**
 * Overflow to somebody else's service: a second deployment plays the provider, with its own key and its own name of the
 * model, and a scripted one does what providers do on bad days.
 */
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import type { PoolInfo } from '../../functions/operations/pool-info.ts';
import { deploy, eventually, metric, statusOf } from '../harness/deployment.ts';

let here: Deployment;
let provider: Deployment;
let scripted: Server;
/** What the scripted provider does with the next request. */
let script: (response: ServerResponse) => void = () => {};
let scriptedRequests = 0;

const chunk = (text: string) =>
  `data: {"object":"chat.completion.chunk","choices":[{"delta":{"content":"${text}"}}]}\n\n`;
const begin = (response: ServerResponse) => response.writeHead(200, { 'content-type': 'text/event-stream' });

beforeAll(async () => {
  scripted = createServer((request, response) => {
    scriptedRequests++;
    request.resume();
    request.on('end', () => script(response));
  }).listen(0, '127.0.0.1');
  [provider, here] = await Promise.all([
    deploy({ engine: 'mock', modelName: 'theirs', apiKey: 'sk-theirs', logLevel: 'error' }),
    deploy({
      engine: 'mock',
      leaseMs: 60_000,
      openaiPoolKeys: 'other=x,theirs=sk-theirs',
      logLevel: 'error',
    }),
  ]);
}, 90_000);
afterAll(() => {
  scripted.closeAllConnections();
  scripted.close();
});

/** One namespace; overflow to these pools, in their order. */
async function configure(...pools: object[]): Promise<void> {
  const document = {
    mode: 'agg',
    num_agg_pools: 1,
    agg_pool_dynamo_namespaces: ['default'],
    agg_pool_selection_strategy: {
      ttft_min: 0,
      ttft_max: 1,
      ttft_resolution: 1,
      itl_min: 0,
      itl_max: 1,
      itl_resolution: 1,
      agg_pool_mapping: [[0]],
    },
    model_name: 'mock',
    openai_pools: pools,
  };
  const response = await fetch(`${here.url}/global_router`, {
    method: 'PUT',
    body: JSON.stringify(document),
  });
  expect(response.status).toBe(200);
  // The functions' copy is a second old at most; asking for the pools renews it.
  await (await fetch(`${here.url}/get_pool_info`)).text();
}

const theirs = () => ({ name: 'theirs', base_url: `${provider.url}/v1`, model: 'theirs' });
const broken = () => ({
  name: 'broken',
  base_url: `http://127.0.0.1:${(scripted.address() as AddressInfo).port}/v1`,
  timeout_ms: 300,
});

/** Under another name of the address, whose answers are not held against the OpenAPI document: a provider may break it. */
const unchecked = () => here.url.replace('127.0.0.1', 'localhost');

const chat = (more: object = {}, path = '/v1/chat/completions', base = here.url) =>
  fetch(base + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'mock',
      messages: [{ role: 'user', content: 'hello' }],
      max_tokens: 4,
      ...more,
    }),
  });
const providerRequests = async () => {
  const text = await (
    await fetch(`${provider.url}/metrics`, { headers: { authorization: 'Bearer sk-theirs' } })
  ).text();
  return Number(/frontend_requests_total\{.*status="success"\} (\d+)/.exec(text)?.[1] ?? 0);
};
const rows = async () => ((await (await fetch(`${here.url}/get_pool_info`)).json()) as PoolInfo).pools;

describe('a pool elsewhere', () => {
  test('gets nothing while there is room here, and what comes beyond that', async () => {
    await configure(theirs());
    const local = await chat();
    expect([local.status, local.headers.get('x-stator-pool')]).toEqual([200, 'default']);
    await local.text();
    expect(await providerRequests()).toBe(0);
    await fetch(`${here.url}/busy_threshold`, {
      method: 'POST',
      body: JSON.stringify({ model: 'mock', active_prefill_tokens_threshold: 0 }),
    });
    const { pid } = here.sidecars[0]!;
    process.kill(pid!, 'SIGSTOP');
    const first = chat();
    await eventually('the worker to be busy', async () =>
      (await statusOf(here)).workers[0]!.activePrefillTokens > 0 ? true : null,
    );
    const beyond = await chat();
    expect(beyond.status).toBe(200);
    expect(await beyond.json()).toMatchObject({ object: 'chat.completion', model: 'theirs' });
    process.kill(pid!, 'SIGCONT');
    expect((await first).headers.get('x-stator-pool') ?? 'default').toBe('default');
    await (await first).text();
    expect(await providerRequests()).toBe(1);
  }, 60_000);

  test('answers chat and completions, streamed and not, when nobody is left here', async () => {
    await here.sidecars[0]!.stop(10_000);
    await eventually('an empty pool', async () => ((await rows())[0]!.live_workers === 0 ? true : null));
    const streamed = await chat({ stream: true, stream_options: { include_usage: true } });
    expect(streamed.headers.get('x-stator-pool')).toBe('openai:theirs');
    const text = await streamed.text();
    expect(text).toMatch(/"model":"theirs".*\n\n.*data: \[DONE\]\n\n$/s);
    expect(text).toContain('"usage":{"prompt_tokens":');
    expect(await (await chat()).json()).toMatchObject({ choices: [{ finish_reason: 'length' }] });
    const plain = await chat({ prompt: 'hello', messages: undefined }, '/v1/completions');
    expect(await plain.json()).toMatchObject({ object: 'text_completion' });
    const wishes = { router: { ttft_target: 5 }, agent_hints: { priority: 3 } };
    expect((await chat({ nvext: wishes })).status).toBe(200);
    expect(await metric(here, /global_router_requests_total\{pool="openai:theirs",why="overflow"\}/)).toBe(5);
    expect((await rows())[1]).toMatchObject({ roles: ['overflow'], live_workers: null, overflow: 5 });
  }, 60_000);

  test('is not asked what it cannot do: the field is named, another API is told so in its own words', async () => {
    const refused = await chat({ top_k: 3 });
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({
      error: { code: 'no_workers', message: expect.stringContaining("cannot take 'top_k'") },
    });
    expect(await (await chat({ nvext: { cache_salt: 'x' } })).text()).toContain("'nvext.cache_salt'");
    const anthropic = await chat({}, '/v1/messages');
    expect(anthropic.status).toBe(503);
    expect(await anthropic.json()).toMatchObject({
      type: 'error',
      error: { message: expect.stringContaining("OpenAI's chat and completions only") },
    });
  });

  test('never sees its key in what is shown, and a wrong one is not told to clients', async () => {
    const shown = await (await fetch(`${here.url}/global_router`)).text();
    expect(shown + (await (await fetch(`${here.url}/get_pool_info`)).text())).not.toContain('sk-theirs');
    await configure({ ...theirs(), name: 'other' });
    const refused = await chat();
    expect(refused.status).toBe(503);
    expect(await refused.text()).toContain("The pool 'openai:other' answered with status 401.");
  });
});

describe('a provider on a bad day', () => {
  test.each([
    ['is full', (response: ServerResponse) => void response.writeHead(503).end('{}')],
    ['says nothing', () => {}],
    ['sends no JSON', (response: ServerResponse) => void response.writeHead(200).end('<html>')],
    ['hangs up', (response: ServerResponse) => void response.destroy()],
  ])(
    '%s: the next pool has the request, and without one the client its error',
    async (what, doing) => {
      script = doing;
      await configure(broken(), theirs());
      const saved = await chat({ stream: what === 'says nothing' });
      expect([saved.status, saved.headers.get('x-stator-pool')]).toEqual([200, 'openai:theirs']);
      await saved.text();
      await configure(broken());
      const lost = await chat({ stream: what === 'says nothing' });
      expect(lost.status).toBe(what === 'is full' ? 529 : 503);
      expect(await lost.text()).toContain("The pool 'openai:broken'");
    },
    20_000,
  );

  test('refuses the request: the client is told why, and nobody else is asked', async () => {
    script = (response) => void response.writeHead(400).end('{"error":{"message":"too many stop strings"}}');
    await configure(broken(), theirs());
    const before = await providerRequests();
    const refused = await chat();
    expect(refused.status).toBe(400);
    expect(await refused.text()).toContain('too many stop strings');
    expect(await providerRequests()).toBe(before);
  });

  test.each([
    [
      'breaks off inside an event',
      (response: ServerResponse) => void response.write(chunk('b').slice(0, 20), () => response.destroy()),
    ],
    ['ends without [DONE]', (response: ServerResponse) => void response.end()],
    ['falls silent', () => {}],
  ])(
    '%s: the stream ends with an error, and nobody begins it anew',
    async (_, doing) => {
      script = (response) => {
        begin(response);
        response.write(chunk('a'), () => doing(response));
      };
      await configure(broken(), theirs());
      const [before, asked] = [await providerRequests(), scriptedRequests];
      const text = await (await chat({ stream: true }, '/v1/chat/completions', unchecked())).text();
      expect(text.startsWith(chunk('a'))).toBe(true);
      expect(text).toMatch(
        /\n\ndata: \{"error":\{"message":"The pool 'openai:broken' .*"code":"worker_unavailable"\}\}\n\n$/,
      );
      expect([await providerRequests(), scriptedRequests]).toEqual([before, asked + 1]);
    },
    20_000,
  );

  test('breaks off before its first byte: the next pool has the stream', async () => {
    script = (response) => {
      begin(response);
      response.flushHeaders();
      setImmediate(() => response.destroy());
    };
    await configure(broken(), theirs());
    expect(await (await chat({ stream: true })).text()).toMatch(/data: \[DONE\]\n\n$/);
  }, 20_000);
});
