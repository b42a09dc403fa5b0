/**
 * Whoever dials the fleet socket with a wrong token, an old epoch or broken frames is told why and sent away; the worker
 * that serves, and the answer it is writing, do not notice.
 */

import { beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { parseRouterFrame, registerFrame, workerFrame } from '../durable/router/fleet-worker.ts';
import { deploy, idle, statusOf } from '../harness/deployment.ts';
import { chat, collect } from '../harness/sse.ts';

const FLEET_TOKEN = 'fleet-token-of-this-test';
/** Close code of a refused worker (durable/router/fleet-connection.ts). */
const REJECTED = 4000;
const TOKENS = 40;

let deployment: Deployment;
let instanceId: string;
beforeAll(async () => {
  deployment = await deploy({
    workers: 1,
    engine: 'mock',
    modelName: 'stator-tiny',
    fleetToken: FLEET_TOKEN,
    mockDecodeMs: 5,
  });
  instanceId = (await statusOf(deployment)).workers[0]?.instanceId as string;
}, 60_000);

const dial = (token: string, protocol = 'stator.fleet.v1') =>
  new WebSocket(`${deployment.url.replace('http', 'ws')}/fleet/v1/default`, protocol, {
    headers: { authorization: `Bearer ${token}` },
  });

/** The status that answers the upgrade. */
function refusedWith(socket: WebSocket): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    socket.on('unexpected-response', (_request, response) => {
      resolve(response.statusCode);
      response.resume();
      socket.terminate();
    });
    socket.on('open', () => reject(new Error('the socket opened')));
    socket.on('error', () => {});
  });
}

/** Sends frames one after the other; what the router said, and how it closed. */
function say(
  frames: readonly (Uint8Array | string)[],
): Promise<{ kinds: string[]; code: string; closed: number }> {
  return new Promise((resolve, reject) => {
    const kinds: string[] = [];
    let code = '';
    const socket = dial(FLEET_TOKEN);
    socket.binaryType = 'nodebuffer';
    socket.on('open', () => {
      for (const frame of frames) socket.send(frame);
    });
    socket.on('message', (data: Buffer) => {
      const frame = parseRouterFrame(data);
      kinds.push(frame.case ?? 'unknown');
      if (frame.case === 'rejected') code = frame.value.code;
    });
    socket.on('close', (closed) => resolve({ kinds, code, closed }));
    socket.on('error', reject);
  });
}

async function untouched(): Promise<void> {
  await idle(deployment);
  const { workers, inFlight } = await statusOf(deployment);
  expect(workers.map((worker) => [worker.instanceId, worker.phase])).toEqual([[instanceId, 'serving']]);
  expect(inFlight).toBe(0);
  const body = { model: 'stator-tiny', messages: [{ role: 'user', content: 'hi' }], max_tokens: 2 };
  expect((await chat(deployment.url, body)).status).toBe(200);
  await idle(deployment);
}

describe('a stranger at the fleet socket', () => {
  it('with a wrong token, or none, gets 401', async () => {
    expect(await refusedWith(dial('wrong'))).toBe(401);
    expect(await refusedWith(dial(''))).toBe(401);
    expect(await refusedWith(dial(`${FLEET_TOKEN}x`))).toBe(401);
    await untouched();
  });

  const whole = registerFrame();
  const cases: [string, () => (Uint8Array | string)[], string][] = [
    [
      'an old epoch of the worker that serves',
      () => [registerFrame({ instanceId, epoch: 1n })],
      'stale_epoch',
    ],
    ['a truncated frame', () => [whole.subarray(0, whole.length - 5)], 'invalid_frame'],
    ['an unknown frame', () => [Uint8Array.of(0x7a, 0)], 'invalid_frame'],
    ['noise', () => [Uint8Array.from({ length: 300 }, (_, i) => (i * 89 + 7) & 0xff)], 'invalid_frame'],
    ['a text frame', () => ['{"register":{}}'], 'invalid_frame'],
    ['a batch before Register', () => [workerFrame({ case: 'batch', value: {} })], 'invalid_frame'],
  ];
  it.each(cases)('with %s is rejected', async (_name, frames, code) => {
    const answer = await say(frames());
    expect(answer).toEqual({ kinds: ['rejected'], code, closed: REJECTED });
    await untouched();
  });

  it('does not disturb an answer that is being written', async () => {
    const response = await chat(deployment.url, {
      model: 'stator-tiny',
      messages: [{ role: 'user', content: 'tell me a long story' }],
      max_tokens: TOKENS,
      ignore_eos: true,
      stream: true,
      stream_options: { include_usage: true },
    });
    const answer = collect(response);
    for (const [, frames] of cases) await say(frames());
    const { done, usages } = await answer;
    expect([done, usages[0]?.completion_tokens]).toEqual([true, TOKENS]);
    await untouched();
  });
});
