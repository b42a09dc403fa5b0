/**
 * Disaggregation for real: two prefill and two decode sidecars on llama.cpp. Answers are those of one aggregated worker, token for
 * token, over every way that blocks can move here; sidecars killed anywhere in the hand-off cost nobody an answer, and
 * afterwards nothing is reserved, held or half received.
 */

import { beforeAll, expect, test } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { findNixlLibrary } from '../../gpu-sidecar/transfer/backends/nixl-library.ts';
import { randomSource } from '../bench/prompts.ts';
import { deploy, eventually, metric, sidecarOf, statusOf, workersServing } from '../harness/deployment.ts';
import {
  type Answer,
  type Asked,
  AT_ONCE,
  answersOfOne,
  ask,
  bodyOf,
  nothingLeft,
  PATIENT,
  prompts,
  ROLES,
  sameAnswersOver,
} from '../harness/disaggregated.ts';
import { chat, collect } from '../harness/sse.ts';
import { workerMetric } from '../harness/worker-metric.ts';

/** `npm run e2e:disagg` sets 200 and 100. */
const REQUESTS = Number(process.env['STATOR_DISAGG_REQUESTS'] ?? 12);
const KILLS = Number(process.env['STATOR_DISAGG_KILLS'] ?? 4);
const SEED = Number(process.env['STATOR_SEED'] ?? Date.now() % 1_000_000);
/** After the first of some requests, within which the hand-off happens. */
const KILL_WITHIN_MS = 600;

/** CI has NIXL in test/servers/nixl-disagg.test.ts, whose script installs it. */
const nixlLibrary = process.env['STATOR_NIXL_LIBRARY'] ?? '';
function hasNixl(): boolean {
  try {
    findNixlLibrary(nixlLibrary);
    return true;
  } catch {
    return false;
  }
}

const random = randomSource(SEED);
const asked = prompts(Math.max(REQUESTS, AT_ONCE), random);
let expected: Answer[];
beforeAll(async () => {
  expected = await answersOfOne(asked);
}, 600_000);

test.each(['tcp', 'shm', ...(hasNixl() ? ['nixl'] : [])])(
  `${asked.length} answers over %s are those of one worker (seed ${SEED})`,
  (transferBackends) => sameAnswersOver(transferBackends, { asked, expected, nixlLibrary }),
  900_000,
);

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
