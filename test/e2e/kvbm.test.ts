/**
 * KV memory end to end: a working set of four times the engine's cache, through the whole platform. Every answer is the one that
 * was computed without a cache, whichever tier its prompt came from, and after a restart, a corrupted disk and a clear.
 *
 * Prints hit rates of the tiers and times to the first token (the worker's own) against computing everything; asserts no time.
 * `npm run e2e:kvbm` takes longer prompts and more rounds: STATOR_E2E_KVBM_CONTEXT (beyond 1,024 tokens the built-in model says
 * nonsense, and the same nonsense each time) and STATOR_E2E_KVBM_ROUNDS.
 */

import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { PROJECT_ROOT } from '../../cli/paths.ts';
import { deploy, eventually, idle, statusOf, workersServing } from '../harness/deployment.ts';

const ROUNDS = Number(process.env['STATOR_E2E_KVBM_ROUNDS'] ?? 1);
const CONTEXT_TOKENS = Number(process.env['STATOR_E2E_KVBM_CONTEXT'] ?? 256);
const ANSWER_TOKENS = 12;
const WORDS =
  'router worker block cache token prompt engine tier disk memory model answer request queue index fleet'.split(
    ' ',
  );
const folder = mkdtempSync(join(tmpdir(), 'stator-e2e-kvbm-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Numbers from 0 to 1, the same each time. */
function* draws(seed: number): Generator<number, never> {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state / 2 ** 32;
  }
}

interface Prompt {
  text: string;
  sampled: boolean;
  /** Of the run without a cache. */
  answer: string;
  tokens: number;
}

function textOf(seed: number, words: number): string {
  const random = draws(seed * 7_919 + 1);
  return `${seed}: ${Array.from({ length: words }, () => WORDS[Math.floor(random.next().value * WORDS.length)]).join(' ')}.`;
}

interface Completion {
  choices: { text: string }[];
  usage: {
    prompt_tokens: number;
    completion_tokens: number;
    prompt_tokens_details: { cached_tokens: number };
  };
}

async function complete(
  deployment: Deployment,
  prompt: Pick<Prompt, 'text' | 'sampled'>,
  salt?: string,
): Promise<Completion> {
  const response = await fetch(`${deployment.url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'stator-tiny',
      prompt: prompt.text,
      max_tokens: ANSWER_TOKENS,
      temperature: prompt.sampled ? 0.8 : 0,
      seed: 11,
      nvext: { ignore_eos: true, ...(salt === undefined ? {} : { cache_salt: salt }) },
    }),
  });
  expect(response.status).toBe(200);
  return (await response.json()) as Completion;
}

/** What the worker counts. */
async function counters(deployment: Deployment): Promise<Map<string, number>> {
  const headers = { authorization: `Bearer ${deployment.settings.fleetToken}` };
  const text = await (await fetch(`${deployment.sidecarLines[0]!.http}/metrics`, { headers })).text();
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [
      line.slice('stator_'.length, line.lastIndexOf(' ')),
      Number(line.slice(line.lastIndexOf(' '))),
    ]),
  );
}

const TIERS = ['host', 'disk', 'object'] as const;
type Source = 'none' | 'device' | (typeof TIERS)[number];

/** One request, where its prompt came from (the lowest tier that gave some of it), and how long until its first token. */
async function observed(deployment: Deployment, ask: () => Promise<Completion>) {
  const before = await counters(deployment);
  const completion = await ask();
  const after = await counters(deployment);
  const grown = (name: string) => (after.get(name) ?? 0) - (before.get(name) ?? 0);
  const blocks = Object.fromEntries(
    TIERS.map((tier) => [tier, grown(`kvbm_matched_blocks_total{tier="${tier}"}`)]),
  ) as Record<(typeof TIERS)[number], number>;
  const cachedBlocks = completion.usage.prompt_tokens_details.cached_tokens / 16;
  const source: Source =
    [...TIERS].reverse().find((tier) => blocks[tier] > 0) ?? (cachedBlocks > 0 ? 'device' : 'none');
  const ttftMs = 1_000 * grown('worker_time_to_first_token_seconds_sum');
  return { completion, blocks, cachedBlocks, source, ttftMs };
}

type Observation = Awaited<ReturnType<typeof observed>>;

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const say = (line: string): void => void process.stdout.write(`${line}\n`);

function report(
  alone: readonly Observation[],
  observations: readonly Observation[],
  promptBlocks: number,
): void {
  const asked = observations.length * promptBlocks;
  const of = (tier: (typeof TIERS)[number]) =>
    observations.reduce((sum, { blocks }) => sum + blocks[tier], 0);
  const cached = observations.reduce((sum, { cachedBlocks }) => sum + cachedBlocks, 0);
  const shares = {
    device: cached - TIERS.reduce((sum, tier) => sum + of(tier), 0),
    host: of('host'),
    disk: of('disk'),
    object: of('object'),
  };
  say(
    `prompts of ${promptBlocks} blocks, ${observations.length} requests, working set 4 x the engine's cache`,
  );
  for (const [tier, blocks] of Object.entries(shares))
    say(`  ${tier.padEnd(6)} ${((100 * blocks) / asked).toFixed(1)} % of the prompts' blocks`);
  const recomputed = mean(alone.map(({ ttftMs }) => ttftMs));
  say(`  TTFT, everything computed: ${recomputed.toFixed(1)} ms`);
  for (const source of ['device', ...TIERS] as const) {
    const those = observations.filter((one) => one.source === source && one.cachedBlocks >= promptBlocks - 1);
    if (those.length === 0) continue;
    const ms = mean(those.map(({ ttftMs }) => ttftMs));
    say(
      `  TTFT, whole prompt found, ${source} the lowest: ${ms.toFixed(1)} ms, ${(recomputed / ms).toFixed(1)} times faster (${those.length})`,
    );
  }
}

/** Flips a bit in every few KiB of what a tier keeps. */
function corrupt(path: string): void {
  for (const name of statSync(path).isDirectory() ? readdirSync(path, { recursive: true }) : ['']) {
    const file = join(path, String(name));
    if (!statSync(file).isFile()) continue;
    const bytes = readFileSync(file);
    for (let at = 2_000; at < bytes.length; at += 8_000) bytes[at]! ^= 0x10;
    writeFileSync(file, bytes);
  }
}

describe('KV memory under a working set of four times the cache', () => {
  it('gives the same answers as no cache, from every tier, after a restart and after damage', async () => {
    const disk = join(folder, 'disk');
    const objects = join(folder, 'objects');
    const cacheBlocks = Math.max(CONTEXT_TOKENS / 16, Math.min((4 * CONTEXT_TOKENS) / 16, 192));
    const deployment = await deploy({
      workers: 1,
      engine: 'llama',
      context: CONTEXT_TOKENS,
      kvbmHostCacheBlocks: cacheBlocks,
      kvbmDiskFolder: disk,
      kvbmDiskCacheBlocks: 2 * cacheBlocks,
      kvbmDiskFilter: false,
      kvbmObjectStore: `file://${objects}`,
      // What the first run leaves there, too.
      kvbmObjectBlocks: 10 * cacheBlocks,
    });
    // About a token each.
    const words = Math.floor(0.8 * CONTEXT_TOKENS);
    const first = await complete(deployment, { text: textOf(0, words), sampled: false }, 'size');
    const promptBlocks = Math.floor((first.usage.prompt_tokens - 1) / 16);
    const prompts: Prompt[] = [];
    const alone: Observation[] = [];
    for (let i = 0; prompts.length * promptBlocks < 4 * cacheBlocks; i++) {
      const prompt = { text: textOf(i, words), sampled: i % 2 === 1 };
      const seen = await observed(deployment, () => complete(deployment, prompt, `alone-${i}`));
      expect(seen.cachedBlocks).toBe(0);
      const { choices, usage } = seen.completion;
      prompts.push({ ...prompt, answer: choices[0]!.text, tokens: usage.prompt_tokens });
      alone.push(seen);
    }
    const check = async (prompt: Prompt): Promise<Observation> => {
      const seen = await observed(deployment, () => complete(deployment, prompt));
      expect(seen.completion.choices[0]!.text).toBe(prompt.answer);
      expect(seen.completion.usage).toMatchObject({
        prompt_tokens: prompt.tokens,
        completion_tokens: ANSWER_TOKENS,
      });
      return seen;
    };

    for (const prompt of prompts) await check(prompt);
    const random = draws(5);
    const observations: Observation[] = [];
    for (let i = 0; i < ROUNDS * prompts.length; i++)
      observations.push(await check(prompts[Math.floor(random.next().value * prompts.length)]!));
    report(alone, observations, promptBlocks);
    const found = (tier: Source) => observations.filter(({ source }) => source === tier).length;
    expect(found('host') + found('disk') + found('object')).toBeGreaterThan(0);
    expect(found('none')).toBe(0);

    // What the last requests have left is still on its way down when they have ended.
    const running = await eventually('a full host tier', async () => {
      const worker = await idleStatus(deployment);
      return worker.tiers[0]!.blocks === cacheBlocks ? worker : null;
    });
    expect(running.tiers.map(({ tier }) => tier)).toEqual(['host', 'disk', 'external']);
    const stator = (command: string) =>
      promisify(execFile)(process.execPath, [
        join(PROJECT_ROOT, 'cli', 'main.ts'),
        command,
        '--url',
        deployment.url,
      ]);
    const shown = await stator('status');
    expect(shown.stdout).toMatch(/TIERS/);
    expect(shown.stdout).toContain(`host ${cacheBlocks}/${cacheBlocks} disk `);

    // The worker dies: what is on disk is known again before anybody asks for it, to the router as well.
    const dead = running.instanceId;
    process.kill(deployment.sidecars[0]!.pid!, 'SIGKILL');
    const reborn = async (): Promise<true | null> => {
      const [worker] = (await statusOf(deployment).catch(() => null))?.workers ?? [];
      return worker && worker.instanceId !== dead && worker.phase === 'serving' ? true : null;
    };
    await eventually('another worker', reborn, 60_000);
    await workersServing(deployment, 1);
    const onDisk = await eventually('the disk to be known again', async () => {
      const disk = (await idleStatus(deployment)).tiers.find(({ tier }) => tier === 'disk');
      return disk && disk.blocks > cacheBlocks ? disk.blocks : null;
    });
    // Blocks whose beginnings are in the object store alone are found when a prompt asks.
    const index = await eventually('the index to hear of the disk', async () => {
      const { indexBlocks } = await statusOf(deployment);
      return indexBlocks > 0 ? indexBlocks : null;
    });
    say(`after a restart: ${onDisk} blocks on disk known, ${index} in the router's index`);
    const again = [];
    for (const prompt of prompts.slice(-4)) again.push(await check(prompt));
    expect(again.some(({ source }) => source === 'disk' || source === 'object')).toBe(true);

    corrupt(join(disk, 'blocks'));
    corrupt(objects);
    const faults = async () => {
      const all = await counters(deployment);
      return TIERS.map((tier) => all.get(`kvbm_faults_total{tier="${tier}",fault="checksum"}`) ?? 0);
    };
    for (const prompt of prompts) await check(prompt);
    const [, diskFaults, objectFaults] = await faults();
    expect(diskFaults).toBeGreaterThan(0);
    say(
      `after flipped bits everywhere: ${diskFaults} faults of the disk, ${objectFaults} of the objects, all answers right`,
    );

    expect((await stator('clear-kv-blocks')).stdout).toContain('1 worker was told');
    await eventually('empty tiers', async () => {
      const { tiers, cachedBlocks } = await idleStatus(deployment);
      return cachedBlocks + tiers[0]!.blocks + tiers[1]!.blocks === 0 ? true : null;
    });
    await check(prompts[0]!);
  }, 600_000);
});

/** The only worker, with nothing to do. */
async function idleStatus(deployment: Deployment) {
  await idle(deployment, 20_000);
  return (await statusOf(deployment)).workers[0]!;
}
