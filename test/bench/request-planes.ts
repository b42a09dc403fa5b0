/**
 * What a token costs by HTTP and by NATS: CPU time of the platform and of the workers for the same streams, one deployment
 * after the other. Wants a nats-server (`NATS_URL`, or one on its usual port).
 */

import { readFileSync } from 'node:fs';
import { createDeployment } from '../../cli/launch/deployment.ts';
import { freePort } from '../../cli/launch/ports.ts';
import { resolveSettings, type Settings } from '../../durable/runtime/config.ts';
import { chat } from '../harness/sse.ts';

const STREAMS = 64;
const AT_ONCE = 16;
const TOKENS = 400;
const CLOCK_TICKS_PER_S = 100;

/** Seconds of user and system time. */
function cpuS(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS_PER_S;
}

async function stream(url: string): Promise<void> {
  const response = await chat(url, {
    model: 'mock',
    messages: [{ role: 'user', content: 'hello' }],
    stream: true,
    ignore_eos: true,
    max_tokens: TOKENS,
  });
  const text = await response.text();
  if (!text.includes('[DONE]')) throw new Error(text.slice(-200));
}

async function streams(url: string, count: number): Promise<void> {
  let left = count;
  const client = async () => {
    while (left-- > 0) await stream(url);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, client));
}

for (const requestPlane of ['http', 'nats', 'http', 'nats'] as const) {
  const settings: Settings = {
    ...resolveSettings([]),
    port: await freePort(),
    logLevel: 'warn',
    engine: 'mock',
    modelName: 'mock',
    mockDecodeMs: 5,
    requestPlane,
    natsUrl: process.env['NATS_URL'] ?? 'nats://127.0.0.1:4222',
  };
  const deployment = await createDeployment(settings);
  try {
    await deployment.start();
    await streams(deployment.url, AT_ONCE);
    const pids = { platform: deployment.platform.pid!, worker: deployment.sidecars[0]!.pid! };
    const before = { platform: cpuS(pids.platform), worker: cpuS(pids.worker) };
    const startedMs = performance.now();
    await streams(deployment.url, STREAMS);
    const wallS = (performance.now() - startedMs) / 1000;
    const perToken = (name: keyof typeof pids) =>
      (((cpuS(pids[name]) - before[name]) / (STREAMS * TOKENS)) * 1e6).toFixed(1);
    console.log(
      `${requestPlane}: platform ${perToken('platform')} µs, worker ${perToken('worker')} µs of CPU a token; ` +
        `${STREAMS} streams of ${TOKENS} tokens, ${AT_ONCE} at once, in ${wallS.toFixed(1)} s`,
    );
  } finally {
    await deployment.stop(1_000);
  }
}
process.exit(0);
