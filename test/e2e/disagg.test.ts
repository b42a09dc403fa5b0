/**
 * Disaggregation for real: two prefill and two decode sidecars on llama.cpp. Answers are those of one aggregated worker, token for
 * token, over every way that blocks can move here; sidecars killed anywhere in the hand-off cost nobody an answer, and
 * afterwards nothing is reserved, held or half received.
 */

import { beforeAll, describe, expect, test } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { findNixlLibrary } from '../../gpu-sidecar/transfer/backends/nixl-library.ts';
import { randomSource } from '../bench/prompts.ts';
import {
  deploy,
  eventually,
  idle,
  metric,
  sidecarOf,
  statusOf,
  workersServing,
} from '../harness/deployment.ts';
import { chat, collect } from '../harness/sse.ts';
import { workerMetric } from '../harness/worker-metric.ts';

/** `npm run e2e:disagg` sets 200 and 100. */
const REQUESTS = Number(process.env['STATOR_DISAGG_REQUESTS'] ?? 12);
const KILLS = Number(process.env['STATOR_DISAGG_KILLS'] ?? 4);
const SEED = Number(process.env['STATOR_SEED'] ?? Date.now() % 1_000_000);
const AT_ONCE = 4;
/** After the first of some requests, within which the hand-off happens. */
const KILL_WITHIN_MS = 600;
const WORDS =
  'the stator of a motor stands still while its rotor turns and the field between them does work'.split(' ');

interface Asked {
  words: string;
  sampled: boolean;
}

/** Prompts of up to some hundred tokens; a third begin as another one does. */
function prompts(count: number, random: () => number): Asked[] {
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
});

interface Answer {
  text: string;
  tokens: string[];
}

/** With the text of every token, so that equal texts of different tokens differ. */
async function ask(deployment: Deployment, asked: Asked): Promise<Answer> {
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

const ROLES = { engine: 'llama', prefillWorkers: 2, decodeWorkers: 2, disaggPolicy: 'always' } as const;

/** Who is killed is noticed by its connection; who is slow on a busy machine is waited for. */
const PATIENT = { remotePrefillTimeoutMs: 60_000 };

/** Nothing reserved in the router; nothing held, granted or half received in any sidecar, and every block can go. */
async function nothingLeft(deployment: Deployment): Promise<void> {
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

function hasNixl(): boolean {
  try {
    findNixlLibrary(process.env['STATOR_NIXL_LIBRARY'] ?? '');
    return true;
  } catch {
    return false;
  }
}

const random = randomSource(SEED);
const asked = prompts(Math.max(REQUESTS, AT_ONCE), random);
let expected: Answer[];
beforeAll(async () => {
  const aggregated = await deploy({ workers: 1, engine: 'llama' });
  expected = await askAll(aggregated, asked);
  await aggregated.stop(2_000);
}, 600_000);

describe.each(['tcp', 'shm', ...(hasNixl() ? ['nixl'] : [])])('over %s', (transferBackends) => {
  test(`${asked.length} answers are those of one worker (seed ${SEED})`, async () => {
    const nixlLibrary = process.env['STATOR_NIXL_LIBRARY'] ?? '';
    const deployment = await deploy({ ...ROLES, ...PATIENT, transferBackends, nixlLibrary });
    expect(await askAll(deployment, asked)).toEqual(expected);
    const remote = await workerMetric(deployment, /remote_prefill_total\{outcome="remote"\}/);
    // On a busy machine a prefill may be given up for its time; the answer is the same.
    expect(remote).toBeGreaterThan(asked.length / 2);
    const moved = new RegExp(`transfer_blocks_total\\{side="reader",backend="${transferBackends}"\\}`);
    expect(await workerMetric(deployment, moved)).toBeGreaterThan(asked.length);
    await nothingLeft(deployment);
    const blocks = await workerMetric(deployment, moved);
    process.stdout.write(`${JSON.stringify({ transferBackends, remote, blocks, seed: SEED })}\n`);
    await deployment.stop(2_000);
  }, 900_000);
});

/** As a stream; a prompt of its own, so that nobody has it cached. */
async function streamed(deployment: Deployment, one: Asked): Promise<string> {
  const response = await chat(deployment.url, { ...bodyOf(one), stream: true });
  const { text, done } = await collect(response);
  expect(done).toBe(true);
  return text;
}

/** The process of a worker, chosen at random, as soon as there would be somebody to answer and somebody to hand over. */
function victimOf(deployment: Deployment) {
  return eventually(
    'two decode workers and a prefill worker',
    async () => {
      const said = (id: string) => deployment.sidecarLines.some((line) => line?.instance === id);
      const { workers } = await statusOf(deployment);
      const there = workers.filter(({ phase, instanceId }) => phase === 'serving' && said(instanceId));
      const decodes = there.filter(({ workerType }) => workerType === 'decode').length;
      if (decodes < 2 || there.length === decodes) return null;
      const { instanceId, workerType } = there[Math.floor(random() * there.length)]!;
      return { workerType, pid: sidecarOf(deployment, instanceId).pid };
    },
    60_000,
  );
}

test(`${KILLS} sidecars killed in the hand-off cost no answer and leave nothing (seed ${SEED})`, async () => {
  const deployment = await deploy({ ...ROLES, ...PATIENT });
  const fallbacks = () => workerMetric(deployment, /remote_prefill_total\{outcome="fallback"\}/);
  const hits = { fallbacks: 0, prefill: 0, decode: 0 };
  for (let kills = 0; kills < KILLS; ) {
    const { pid, workerType } = await victimOf(deployment);
    // What earlier rounds have computed is cached: then there would be nothing to hand over.
    await fetch(`${deployment.url}/stator/v1/clear_kv_blocks`, { method: 'POST' });
    const before = await fallbacks();
    const from = Math.floor(random() * asked.length);
    const round = Array.from({ length: AT_ONCE }, (_, i) => (from + i) % asked.length);
    const answers = round.map((at, i) =>
      i % 2 === 0 ? ask(deployment, asked[at]!).then(({ text }) => text) : streamed(deployment, asked[at]!),
    );
    let killed = false;
    const timer = setTimeout(() => {
      killed = true;
      process.kill(pid, 'SIGKILL');
    }, random() * KILL_WITHIN_MS);
    try {
      const texts = await Promise.all(answers);
      expect({ kills, workerType, texts }).toEqual({
        kills,
        workerType,
        texts: round.map((at) => expected[at]!.text),
      });
    } finally {
      clearTimeout(timer);
    }
    // One that came after the last answer has killed nobody.
    if (!killed) continue;
    kills++;
    hits[workerType as 'prefill' | 'decode']++;
    if (workerType === 'prefill') hits.fallbacks += (await fallbacks()) - before;
  }
  const migrated = await metric(deployment, /model_migration_total/);
  await workersServing(deployment, 4);
  await nothingLeft(deployment);
  process.stdout.write(`${JSON.stringify({ ...hits, migrated, seed: SEED })}\n`);
  // Most kills of a large number hit somebody.
  if (KILLS >= 20) expect(hits.fallbacks + migrated).toBeGreaterThan(KILLS / 4);
}, 3_600_000);
