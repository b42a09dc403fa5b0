/**
 * Disaggregated fleets of llama.cpp beside one aggregated worker: the same prompts, answers to compare token for token, and what
 * must not be left behind.
 */

import { expect } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { deploy, eventually, idle, statusOf } from './deployment.ts';
import { chat } from './sse.ts';
import { workerMetric } from './worker-metric.ts';

export const AT_ONCE = 4;
const WORDS =
  'the stator of a motor stands still while its rotor turns and the field between them does work'.split(' ');

export interface Asked {
  words: string;
  sampled: boolean;
}

/** Prompts of up to some hundred tokens; a third begin as another one does. */
export function prompts(count: number, random: () => number): Asked[] {
  const text = (words: number) =>
    Array.from({ length: words }, () => WORDS[Math.floor(random() * WORDS.length)]).join(' ');
  const shared = text(60);
  return Array.from({ length: count }, (_, i) => ({
    words: `${i % 3 === 0 ? shared : ''} ${text(20 + Math.floor(random() * 100))} ${i}`,
    sampled: i % 2 === 1,
  }));
}

export const bodyOf = ({ words, sampled }: Asked) => ({
  model: 'stator-tiny',
  messages: [{ role: 'user', content: words }],
  max_tokens: 24,
  ignore_eos: true,
  ...(sampled ? { temperature: 0.9, top_p: 0.95, seed: 11 } : { temperature: 0 }),
});

export interface Answer {
  text: string;
  tokens: string[];
}

/** With the text of every token, so that equal texts of different tokens differ. */
export async function ask(deployment: Deployment, asked: Asked): Promise<Answer> {
  const response = await chat(deployment.url, { ...bodyOf(asked), logprobs: true });
  const document = await response.json();
  expect({ status: response.status, document }).toMatchObject({ status: 200 });
  const [choice] = (
    document as { choices: { message: { content: string }; logprobs: { content: { token: string }[] } }[] }
  ).choices;
  return { text: choice!.message.content, tokens: choice!.logprobs.content.map(({ token }) => token) };
}

/** Some at a time. */
async function askAll(deployment: Deployment, all: readonly Asked[]): Promise<Answer[]> {
  const answers: Answer[] = [];
  const next = all.entries();
  const worker = async () => {
    for (const [i, asked] of next) answers[i] = await ask(deployment, asked);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return answers;
}

export const ROLES = {
  engine: 'llama',
  prefillWorkers: 2,
  decodeWorkers: 2,
  disaggPolicy: 'always',
} as const;

/** Who is killed is noticed by its connection; who is slow on a busy machine is waited for. */
export const PATIENT = { remotePrefillTimeoutMs: 60_000 };

/** Nothing reserved in the router; nothing held, granted or half received in any sidecar, and every block can go. */
export async function nothingLeft(deployment: Deployment): Promise<void> {
  await idle(deployment, LIMITS.leaseMs + 20_000);
  const gauges = /(transfer_(grants|held_blocks|quarantined_blocks)|remote_prefill_(running|held_blocks)) /;
  await eventually('nothing held for others', async () =>
    (await workerMetric(deployment, gauges)) === 0 ? true : null,
  );
  await fetch(`${deployment.url}/stator/v1/clear_kv_blocks`, { method: 'POST' });
  await eventually('every block to go', async () => {
    const { workers } = await statusOf(deployment);
    const kept = workers.flatMap(({ cachedBlocks, tiers }) => [
      cachedBlocks,
      ...tiers.map(({ blocks }) => blocks),
    ]);
    return kept.every((blocks) => blocks === 0) ? true : null;
  });
}

/** What one worker alone answers. */
export async function answersOfOne(asked: readonly Asked[]): Promise<Answer[]> {
  const aggregated = await deploy({ workers: 1, engine: 'llama' });
  const answers = await askAll(aggregated, asked);
  await aggregated.stop(2_000);
  return answers;
}

/** Two prefill and two decode workers that move blocks by `transferBackends` give the same answers and keep nothing. */
export async function sameAnswersOver(
  transferBackends: string,
  {
    asked,
    expected,
    nixlLibrary = '',
  }: { asked: readonly Asked[]; expected: readonly Answer[]; nixlLibrary?: string },
): Promise<void> {
  const deployment = await deploy({ ...ROLES, ...PATIENT, transferBackends, nixlLibrary });
  expect(await askAll(deployment, asked)).toEqual(expected);
  const remote = await workerMetric(deployment, /remote_prefill_total\{outcome="remote"\}/);
  // On a busy machine a prefill may be given up for its time; the answer is the same.
  expect(remote).toBeGreaterThan(asked.length / 2);
  const moved = new RegExp(`transfer_blocks_total\\{side="reader",backend="${transferBackends}"\\}`);
  const blocks = await workerMetric(deployment, moved);
  expect(blocks).toBeGreaterThan(asked.length);
  await nothingLeft(deployment);
  process.stdout.write(`${JSON.stringify({ transferBackends, requests: asked.length, remote, blocks })}\n`);
  await deployment.stop(2_000);
}
