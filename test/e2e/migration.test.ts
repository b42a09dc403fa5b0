/**
 * Workers die in the middle of answers, and no client can tell: three real sidecars on llama.cpp, the serving one killed
 * with -9 at a random token, greedy and sampled, and the text equal to the undisturbed one every time.
 */

import { beforeAll, describe, expect, it } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { randomSource } from '../bench/prompts.ts';
import { deploy, idle, metric, sidecarOf, workersServing } from '../harness/deployment.ts';
import { type Collected, chat, collect } from '../harness/sse.ts';

/** `npm run e2e:migration` takes 20. */
const KILLS = Number(process.env['STATOR_KILLS'] ?? 8);
const SEED = Number(process.env['STATOR_SEED'] ?? Date.now() % 1_000_000);
const MAX_TOKENS = 500;

let deployment: Deployment;
beforeAll(async () => {
  deployment = await deploy({ workers: 3, engine: 'llama' });
}, 90_000);

const request = (sampled: boolean) => ({
  model: 'stator-tiny',
  messages: [{ role: 'user', content: sampled ? 'Tell me a story.' : 'What is Stator?' }],
  stream: true,
  stream_options: { include_usage: true },
  max_tokens: MAX_TOKENS,
  ignore_eos: true,
  ...(sampled ? { temperature: 0.9, top_p: 0.95, seed: 7 } : { temperature: 0 }),
});

async function undisturbed(sampled: boolean): Promise<Collected> {
  const response = await chat(deployment.url, request(sampled));
  expect(response.status).toBe(200);
  return collect(response);
}

async function killedAt(chunk: number, sampled: boolean): Promise<Collected> {
  const response = await chat(deployment.url, request(sampled));
  const { pid } = sidecarOf(deployment, response.headers.get('x-stator-worker') as string);
  return collect(response, (count) => {
    if (count === chunk) process.kill(pid, 'SIGKILL');
  });
}

describe(`a worker killed in mid-answer (seed ${SEED})`, () => {
  it(`is replaced ${KILLS} times without a trace in the text`, async () => {
    const random = randomSource(SEED);
    const whole = [await undisturbed(false), await undisturbed(true)] as const;
    const migrated = () => metric(deployment, /model_migration_total/);
    const before = await migrated();
    for (let kill = 0; kill < KILLS; kill++) {
      const sampled = kill % 2 === 1;
      const expected = whole[sampled ? 1 : 0];
      const chunk = 1 + Math.floor(random() * Math.min(60, expected.chunks - 1));
      const got = await killedAt(chunk, sampled);
      expect({ kill, chunk, ...got }).toEqual({ kill, chunk, ...expected, usages: got.usages });
      expect(got.usages.map((usage) => usage.completion_tokens)).toEqual([MAX_TOKENS]);
      await workersServing(deployment, 3);
    }
    // A kill may come when the last bytes are already on their way; most must have hit a live stream.
    expect((await migrated()) - before).toBeGreaterThanOrEqual(Math.ceil(KILLS / 2));
    // What a killed worker had in its books counts until its lease ends.
    await idle(deployment, LIMITS.leaseMs + 5_000);
  }, 180_000);
});
