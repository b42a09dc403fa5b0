/**
 * Clients that leave: in the queue, in prefill, in decode, and while a plain answer is computed. The engine stops within
 * a second of the moment workerd can notice (it notices when it writes: at the latest with the next keep-alive).
 */

import { connect } from 'node:net';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { deploy, eventually, idle, statusOf } from '../harness/deployment.ts';

/** Keep-alive until the next write, a second to act on it, and slack for a busy machine. */
const NOTICE_MS = LIMITS.headerWaitMs + LIMITS.keepAliveMs + 1_000 + 1_000;

let deployment: Deployment;
beforeAll(async () => {
  // One slow worker: 20 ms a token, so that nothing ends by itself during a test.
  deployment = await deploy({
    workers: 1,
    engine: 'mock',
    modelName: 'stator-tiny',
    engineSpeedup: 1,
    mockDecodeMs: 20,
  });
}, 60_000);

/** Sends a request on a raw socket; `until` decides on the bytes received so far whether to hang up. */
function hangUp(body: Record<string, unknown>, until: (received: string) => boolean): Promise<string> {
  const text = JSON.stringify(body);
  return new Promise((resolve, reject) => {
    let received = '';
    const socket = connect({ host: '127.0.0.1', port: deployment.settings.port });
    const leave = () => {
      socket.destroy();
      resolve(received);
    };
    socket.on('error', reject);
    socket.on('connect', () => {
      socket.write(
        `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n` +
          `content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
      );
      if (until('')) eventually('the request to arrive', busy).then(leave, reject);
    });
    socket.on('data', (data) => {
      received += data.toString('utf8');
      if (until(received)) leave();
    });
  });
}

const busy = async () => ((await statusOf(deployment)).inFlight > 0 ? true : null);

const request = (stream: boolean, prompt = 'hello') => ({
  model: 'stator-tiny',
  messages: [{ role: 'user', content: prompt }],
  max_tokens: 900,
  ignore_eos: true,
  stream,
});

describe('a client that leaves', () => {
  it('in decode: the engine stops', async () => {
    const received = await hangUp(request(true), (text) => text.split('data: ').length > 4);
    expect(received).toContain('text/event-stream');
    await idle(deployment, NOTICE_MS);
  });

  it('before the first byte of a stream: the engine stops', async () => {
    await hangUp(request(true, 'word '.repeat(900)), () => true);
    await idle(deployment, NOTICE_MS);
  });

  it('while a plain answer is computed: the engine stops', async () => {
    await hangUp(request(false), () => true);
    await idle(deployment, NOTICE_MS);
  });

  it('is not mistaken for a lost worker', async () => {
    const text = await (await fetch(`${deployment.url}/metrics`)).text();
    const migrations = text.split('\n').filter((line) => /model_migration_total\{/.test(line));
    expect(migrations.every((line) => line.endsWith(' 0'))).toBe(true);
  });
});
