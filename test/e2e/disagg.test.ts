/**
 * Disaggregation for real: two prefill and two decode sidecars on llama.cpp. Answers are those of one aggregated worker, token for
 * token, over every way that blocks can move here; sidecars killed anywhere in the hand-off cost nobody an answer, and
 * afterwards nothing is reserved, held or half received.
 */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { randomSource } from '../bench/prompts.ts';
import { deploy, eventually, idle, sidecarOf, statusOf } from '../harness/deployment.ts';
import { chat } from '../harness/sse.ts';
import { workerMetric } from '../harness/worker-metric.ts';

/** `npm run e2e:disagg` sets 200 and 100. */
const REQUESTS = Number(process.env['STATOR_DISAGG_REQUESTS'] ?? 12);
const KILLS = Number(process.env['STATOR_DISAGG_KILLS'] ?? 4);
const SEED = Number(process.env['STATOR_SEED'] ?? Date.now() % 1_000_000);
const AT_ONCE = 4;
const WORDS =
  'the stator of a motor stands still while its rotor turns and the field between them does work'.split(' ');

interface Asked {
  words: string;
  sampled: boolean;
}

/** Prompts of some hundred tokens; a third begin as another one does. */
function prompts(count: number, seed: number): Asked[] {
  const random = randomSource(seed);
  const text = (words: number) =>
    Array.from({ length: words }, () => WORDS[Math.floor(random() * WORDS.length)]).join(' ');
  const shared = text(60);
  return Array.from({ length: count }, (_, i) => ({
    words: `${i % 3 === 0 ? shared : ''} ${text(20 + Math.floor(random() * 100))} ${i}`,
    sampled: i % 2 === 1,
  }));
}

const bodyOf = ({ words, sampled }: Asked) => ({
  model: 'stator-tiny',
  messages: [{ role: 'user', content: words }],
  max_tokens: 24,
  ignore_eos: true,
  ...(sampled ? { temperature: 0.9, top_p: 0.95, seed: 11 } : { temperature: 0 }),
  logprobs: true,
});

interface Answer {
  text: string;
  tokens: unknown;
  prefilledBy: string | null;
  cachedTokens: number;
}

async function ask(deployment: Deployment, asked: Asked): Promise<Answer> {
  const response = await chat(deployment.url, bodyOf(asked));
  const document = (await response.json()) as {
    choices: { message: { content: string }; logprobs: { content: { token: string }[] } }[];
    usage: { prompt_tokens_details: { cached_tokens: number } };
  };
  expect({ status: response.status, document }).toMatchObject({ status: 200 });
  const [choice] = document.choices;
  return {
    text: choice!.message.content,
    tokens: choice!.logprobs.content.map(({ token }) => token),
    prefilledBy: response.headers.get('x-stator-prefill-worker'),
    cachedTokens: document.usage.prompt_tokens_details.cached_tokens,
  };
}

/** Some at a time, in order of their place. */
async function askAll(deployment: Deployment, all: readonly Asked[]): Promise<Answer[]> {
  const answers: Answer[] = [];
  const next = all.entries();
  const worker = async () => {
    for (const [i, asked] of next) answers[i] = await ask(deployment, asked);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return answers;
}

const withoutOrigin = (answers: readonly Answer[]) => answers.map(({ text, tokens }) => ({ text, tokens }));

const ROLES = { engine: 'llama', prefillWorkers: 2, decodeWorkers: 2, disaggPolicy: 'always' } as const;

/** Nothing reserved in the router; nothing held, granted or half received in any sidecar. */
async function nothingLeft(deployment: Deployment): Promise<void> {
  await idle(deployment, LIMITS.leaseMs + 10_000);
  await eventually('nothing held for others', async () => {
    const gauges = /transfer_(grants|held_blocks|quarantined_blocks)/;
    return (await workerMetric(deployment, gauges)) === 0 ? true : null;
  });
}

let aggregated: Deployment;
let asked: Asked[];
let expected: { text: string; tokens: unknown }[];
beforeAll(async () => {
  asked = prompts(REQUESTS, SEED);
  aggregated = await deploy({ workers: 1, engine: 'llama' });
  expected = withoutOrigin(await askAll(aggregated, asked));
}, 300_000);

afterAll(() => aggregated?.stop(2_000), 30_000);

describe.each(['tcp', 'shm'])('over %s', (transferBackends) => {
  test(`${REQUESTS} answers are those of one worker (seed ${SEED})`, async () => {
    const deployment = await deploy({ ...ROLES, transferBackends } as never);
    const answers = await askAll(deployment, asked);
    expect(withoutOrigin(answers)).toEqual(expected);
    for (const line of deployment.sidecarLines) console.log((await (await fetch(`${line!.http}/metrics`, { headers: { authorization: `Bearer ${deployment.settings.fleetToken}` } })).text()).split('\n').filter((r) => /remote_prefill|transfer_|worker_requests|kvbm_(skipp|received)/.test(r) && !r.startsWith('#')).join('\n') + '\n--');
    console.log(answers.map((a) => [a.prefilledBy, a.cachedTokens]));
    const remote = answers.filter(({ prefilledBy }) => prefilledBy !== null).length;
    expect(remote).toBeGreaterThan(REQUESTS / 2);
    expect(await workerMetric(deployment, /remote_prefill_bytes_total/)).toBeGreaterThan(0);
    await nothingLeft(deployment);
    await deployment.stop(2_000);
  }, 600_000);
});
