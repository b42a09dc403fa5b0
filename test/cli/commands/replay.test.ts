/** `stator replay` as people and scripts call it. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PROJECT_ROOT } from '../../../cli/paths.ts';

let folder: string;
let trace: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'stator-replay-'));
  trace = join(folder, 'trace.jsonl');
  const line = (i: number) => ({
    timestamp: 50 * i,
    input_length: 1_500,
    output_length: 20,
    hash_ids: [i % 3, 10 + (i % 3), 20 + i],
  });
  writeFileSync(trace, Array.from({ length: 40 }, (_, i) => JSON.stringify(line(i))).join('\n'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function stator(...args: string[]) {
  const main = join(PROJECT_ROOT, 'cli', 'main.ts');
  return spawnSync(process.execPath, [main, 'replay', ...args], { encoding: 'utf8' });
}

test('--json is one object with everything in it, the same however the router is run', () => {
  const args = ['--trace', trace, '--workers', '2', '--blocks', '64', '--router', 'kv', '--json'];
  const { stdout, stderr, status } = stator(...args, '--set', 'router_temperature=0.2', 'max_num_seqs=8');
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  const report = JSON.parse(stdout);
  expect(report).toMatchObject({ requests: 40, rejected: 0, reuse: expect.any(Number) });
  for (const name of ['ttft_ms', 'itl_ms', 'e2e_ms']) {
    expect(Object.keys(report[name])).toEqual(['mean', 'p50', 'p90', 'p99']);
  }
  expect(report.workers).toHaveLength(2);
  expect(report.workers[0]).toEqual({ requests: expect.any(Number), busy: expect.any(Number) });
  expect(report.output_tokens_per_s).toBeGreaterThan(0);
  const direct = stator(...args, '--set', 'router_temperature=0.2', '--set', 'max_num_seqs=8', '--direct');
  expect(direct.stdout).toBe(stdout);
});

test('people get a table', () => {
  const { stdout, status } = stator('--trace', trace, '--router-mode', 'round-robin');
  expect(status).toBe(0);
  expect(stdout).toMatch(/TTFT ms +[\d.]+ +[\d.]+/);
  expect(stdout).toContain('40 requests in');
});

test('--help lists every name that --set takes', () => {
  const { stdout } = stator('--help');
  for (const word of [
    '--prefill-workers',
    'overlap_score_weight',
    'max_num_batched_tokens',
    'speedup_ratio',
  ]) {
    expect(stdout).toContain(word);
  }
});

test.each([
  [['--blocks', '3'], '--trace is missing'],
  [['--trace', '/nowhere'], 'cannot be read'],
  [['--trace', 'TRACE', '--wokers', '3'], '--wokers'],
  [['--trace', 'TRACE', '--set', 'router_temperature'], '--set wants name=value'],
  [['--trace', 'TRACE', '--router', 'kv', '--router-mode', 'random'], 'differ'],
])('%j is refused in one line', (args, message) => {
  const { stderr, stdout, status } = stator(...args.map((arg) => (arg === 'TRACE' ? trace : arg)));
  expect({ stdout, status }).toEqual({ stdout: '', status: 1 });
  expect(stderr).toContain(message);
  expect(stderr.trim().split('\n')).toHaveLength(1);
});

test('--planner adds what it reached, beside a fixed fleet and the oracle', () => {
  const bounds = ['--min', '1', '--max', '3', '--startup', '10', '--ttft', '400', '--itl', '30'];
  const { stdout, stderr, status } = stator('--trace', trace, '--planner', 'sla', ...bounds, '--json');
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  const { requests, planner } = JSON.parse(stdout);
  expect(requests).toBe(40);
  expect(planner).toMatchObject({ mode: 'sla', ttft_ms: 400, itl_ms: 30, startup_s: 10, interval_s: 60 });
  for (const figures of [planner, planner.static, planner.oracle]) {
    expect(figures.attainment).toBeGreaterThan(0);
    expect(figures.worker_hours).toBeGreaterThan(0);
  }
});

test.each([
  [['--planner', 'magic'], '--planner wants sla or load, not "magic"'],
  [['--ttft', '400'], '--ttft goes with --planner'],
  [['--planner', 'sla', '--min', 'few'], '--min: "few" is not a number'],
  [['--planner', 'sla', '--min', '5', '--max', '2'], 'min 5 is above max 2'],
  [['--planner', 'sla', '--workers', '40'], '--workers 40 is not from --min 1 to --max 16'],
  [['--planner', 'sla', '--predictor', 'oracle'], 'predictor'],
])('%j is refused', (args, message) => {
  const { stderr, status } = stator('--trace', trace, ...args);
  expect(status).not.toBe(0);
  expect(stderr).toContain(message);
});
