/**
 * Prompts handed over through the prefill queue, for real: decode and prefill sidecars on llama.cpp around one platform. Answers are
 * those of one worker alone, while prefill workers are killed and while the platform is.
 */

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { deploy, eventually, metric, sidecarOf, statusOf } from '../harness/deployment.ts';
import { chat } from '../harness/sse.ts';
import { workerMetric } from '../harness/worker-metric.ts';

const WORDS = 'the stator of a motor stands still while its rotor turns';
/** Prompts of which no two begin alike. */
const bodyOf = (i: number) => ({
  model: 'stator-tiny',
  messages: [{ role: 'user', content: `${i} ${WORDS} ${i} ${WORDS} ${WORDS}` }],
  max_tokens: 16,
  ignore_eos: true,
  temperature: 0,
});

async function ask(deployment: Deployment, i: number): Promise<string> {
  const response = await chat(deployment.url, bodyOf(i));
  const document = (await response.json()) as { choices: { message: { content: string } }[] };
  expect({ status: response.status, document }).toMatchObject({ status: 200 });
  return document.choices[0]!.message.content;
}

let deployment: Deployment;
let expected: string[];
const PROMPTS = 9;

beforeAll(async () => {
  const alone = await deploy({ engine: 'llama' });
  expected = [];
  for (let i = 0; i < PROMPTS; i++) expected.push(await ask(alone, i));
  await alone.stop();
  deployment = await deploy({
    engine: 'llama',
    prefillWorkers: 2,
    decodeWorkers: 1,
    disaggPolicy: 'always',
    prefillHandoff: 'queue',
  });
}, 120_000);
afterAll(async () => {
  await deployment?.stop();
});

test('prompts are computed by who takes them, and the answers are the same', async () => {
  const answers = await Promise.all([0, 1, 2, 3].map((i) => ask(deployment, i)));
  expect(answers).toEqual(expected.slice(0, 4));
  expect(await workerMetric(deployment, /remote_prefill_total\{outcome="remote"/)).toBe(4);
  expect(await metric(deployment, /prefill_queue_ended_total\{.*outcome="ready"/)).toBe(4);
});

test('a prefill worker that is killed costs nobody an answer', async () => {
  const { workers } = await statusOf(deployment);
  const one = workers.find(({ workerType }) => workerType === 'prefill')!;
  const answers = Promise.all([4, 5, 6, 7].map((i) => ask(deployment, i)));
  process.kill(sidecarOf(deployment, one.instanceId).pid, 'SIGKILL');
  expect(await answers).toEqual(expected.slice(4, 8));
});

test('a platform that is killed comes back, and its queue with it', async () => {
  process.kill(deployment.platform.pid!, 'SIGKILL');
  const answer = await eventually('an answer', () => ask(deployment, 8).catch(() => null));
  expect(answer).toBe(expected[8]);
});

test('nothing is left in the queue', async () => {
  await eventually('an empty queue', async () =>
    (await metric(deployment, /prefill_queue_jobs\{/)) === 0 ? true : null,
  );
});
