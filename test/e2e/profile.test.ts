/**
 * `stator profile` on a real worker: what it finds is what the mock engine is made to take (slowed down four times, so that the
 * machine's own noise is small beside it), and what was found before an interruption is kept.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { PROJECT_ROOT } from '../../cli/paths.ts';
import { Profile } from '../../durable/planner/profile.ts';
import { decodeMs, prefillMs } from '../../gpu-sidecar/engines/mock/timing.ts';
import { readProfile } from '../../gpu-sidecar/profile-files/profile-file.ts';
import { deploy } from '../harness/deployment.ts';

const SLOWED = 4;
const folder = mkdtempSync(join(tmpdir(), 'stator-e2e-profile-'));
let deployment: Deployment;
beforeAll(async () => {
  deployment = await deploy({ engine: 'mock', context: 4_096, engineSpeedup: 1 / SLOWED });
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Said {
  event: string;
  kind?: string;
  complete?: boolean;
  measured?: number;
  of?: number;
  files?: string[];
}

/** Runs the command; `hears` may end it. */
async function profile(hears: (said: Said, child: ChildProcess) => void) {
  const grid = ['--input-tokens', '256,2048', '--context-tokens', '512,3000', '--concurrency', '1,8'];
  const fixed = ['--output', folder, '--output-tokens', '32', '--repeats', '3', '--json'];
  const args = [join(PROJECT_ROOT, 'cli', 'main.ts'), 'profile', '--url', deployment.url, ...grid, ...fixed];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  const said: Said[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    const event = JSON.parse(line) as Said;
    said.push(event);
    hears(event, child);
  }
  return { said, code: await ended };
}

test('an interrupted run keeps what it has, the next one goes on, and both together say what the engine takes', async () => {
  const first = await profile((said, child) => {
    if (said.kind === 'prefill') child.kill('SIGINT');
  });
  expect(first.code).toBe(130);
  const before = first.said.filter(({ event }) => event === 'measured').length;
  expect(before).toBeGreaterThan(0);

  const second = await profile(() => {});
  expect(second.code).toBe(0);
  expect(second.said.at(-1)).toMatchObject({ event: 'profile', complete: true, measured: 6, of: 6 });
  expect(second.said.filter(({ event }) => event === 'measured')).toHaveLength(6 - before);

  const found = readProfile(folder);
  const { prefill } = found;
  prefill.inputTokens.forEach((tokens, i) => {
    expect(Math.abs(prefill.ttftMs[i]! / (SLOWED * prefillMs(tokens)) - 1)).toBeLessThan(0.1);
  });
  const { points } = JSON.parse(readFileSync(join(folder, 'profile.json'), 'utf8')).decode as {
    points: { itlMs: number[]; concurrency: number[]; contextTokens: number[] };
  };
  const totalKvTokens = new Profile(found).maxKvTokens;
  points.itlMs.forEach((itlMs, i) => {
    const decodeContextTokens = points.concurrency[i]! * points.contextTokens[i]!;
    const wanted = SLOWED * decodeMs({ decodeContextTokens, totalKvTokens });
    expect(Math.abs(itlMs / wanted - 1)).toBeLessThan(0.1);
  });
}, 120_000);
