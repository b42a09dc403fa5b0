/** Requests to workers over a real nats-server: whole answers, streams, workers killed in the middle, clients that leave. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { deploy, eventually, idle, metric, sidecarOf, workersServing } from '../harness/deployment.ts';
import { type Collected, chat, collect } from '../harness/sse.ts';
import { NatsServer } from './nats-server.ts';

const MAX_TOKENS = 300;
const KILLS = 3;

let nats: NatsServer;
let deployment: Deployment;

beforeAll(async () => {
  nats = await NatsServer.start('authorization { user: "stator", password: "a secret" }');
  deployment = await deploy({
    workers: 3,
    engine: 'llama',
    requestPlane: 'nats',
    eventPlane: 'nats',
    natsUrl: nats.url.replace('//', '//stator:a%20secret@'),
  });
}, 180_000);

afterAll(() => nats?.end());

const request = {
  model: 'stator-tiny',
  messages: [{ role: 'user', content: 'Tell me a story.' }],
  stream: true,
  stream_options: { include_usage: true },
  max_tokens: MAX_TOKENS,
  ignore_eos: true,
  temperature: 0.9,
  seed: 7,
};

async function stream(onChunk?: (count: number, worker: string) => void): Promise<Collected> {
  const response = await chat(deployment.url, request);
  expect(response.status).toBe(200);
  const worker = response.headers.get('x-stator-worker')!;
  return collect(response, (count) => onChunk?.(count, worker));
}

const migrations = () => metric(deployment, /model_migration_total/);

describe('requests by NATS', () => {
  it('are answered whole and as streams, alike', async () => {
    const streamed = await stream();
    expect(streamed.usages.map(({ completion_tokens }) => completion_tokens)).toEqual([MAX_TOKENS]);
    const response = await chat(deployment.url, { ...request, stream: false, stream_options: undefined });
    expect(response.status).toBe(200);
    const { choices } = (await response.json()) as { choices: { message: { content: string } }[] };
    expect(choices[0]!.message.content).toBe(streamed.text);
  });

  it('are refused in the words of the worker', async () => {
    const response = await chat(deployment.url, { ...request, max_tokens: 1_000_000 });
    expect(response.status).toBe(400);
  });

  it(`go on elsewhere, token by token, when their worker is killed (${KILLS} times)`, async () => {
    const expected = await stream();
    const before = await migrations();
    for (let kill = 0; kill < KILLS; kill++) {
      const got = await stream((count, worker) => {
        if (count === 5 + 10 * kill) process.kill(sidecarOf(deployment, worker).pid, 'SIGKILL');
      });
      expect({ ...got, usages: [] }).toEqual({ ...expected, usages: [] });
      await workersServing(deployment, 3);
    }
    expect((await migrations()) - before).toBeGreaterThanOrEqual(1);
  });

  it('end in the engine when their client leaves', async () => {
    const leave = new AbortController();
    const response = await chat(deployment.url, { ...request, max_tokens: 3_000 }, { signal: leave.signal });
    const reader = response.body!.getReader();
    await reader.read();
    leave.abort();
    await idle(deployment);
  });

  it('are not lost with the nats-server: it is waited for, or they end with an error and never hang', async () => {
    await nats.kill();
    const waiting = chat(deployment.url, { ...request, max_tokens: 5 });
    await nats.start();
    const response = await waiting;
    const text = await response.text();
    expect(
      response.status === 200 ? text.includes('[DONE]') || text.includes('error') : text.includes('error'),
    ).toBe(true);
    await eventually('answers by NATS again', async () => {
      const again = await chat(deployment.url, { ...request, max_tokens: 5 });
      return again.status === 200 && (await again.text()).includes('[DONE]') ? true : null;
    });
  });
});
