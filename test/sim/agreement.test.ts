/**
 * Does the simulator say what Dynamo's own replay says? Recorded figures (`record_peer.py`) of short cuts of the traces. The
 * whole traces: docs/benchmarks. Round robin has no chance in it and agrees closely; kv breaks ties at random on both sides.
 */

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Cell } from '../../cli/replay/plan.ts';
import { replay } from '../../cli/replay/replay.ts';
import { cut } from './small-trace.ts';

type Figure = number | { min: number; max: number };

interface Recorded {
  cell: Omit<Cell, 'trace'> & { trace: string; requests: number; handoff?: Record<string, number> };
  dynamo: { requests: number; ttft_ms: Figure; e2e_ms: Figure; itl_ms: Figure; reuse: Figure };
}

const DYNAMO = { routerPolicy: 'dynamo' };
const FILE = new URL('../fixtures/replay_peer.json', import.meta.url).pathname;
const { cells } = JSON.parse(readFileSync(FILE, 'utf8')) as { cells: Recorded[] };

const range = (figure: Figure) => (typeof figure === 'number' ? { min: figure, max: figure } : figure);

function near(value: number, figure: Figure, slack: { share?: number; amount?: number }): void {
  const { min, max } = range(figure);
  const { share = 0, amount = 0 } = slack;
  expect(value).toBeGreaterThanOrEqual(min * (1 - share) - amount);
  expect(value).toBeLessThanOrEqual(max * (1 + share) + amount);
}

const named = cells.map((recorded) => [JSON.stringify(recorded.cell).replaceAll('"', ''), recorded] as const);

test.each(named)('%s', (_name, { cell, dynamo }) => {
  const { trace, requests, handoff = {}, set = {}, ...rest } = cell;
  const report = replay({ ...rest, ...DYNAMO, trace: cut(trace, requests), set: { ...set, ...handoff } });
  expect(report.requests).toBe(dynamo.requests);
  near(report.ttft_ms.mean, dynamo.ttft_ms, { share: 0.03 });
  near(report.e2e_ms.mean, dynamo.e2e_ms, { share: 0.03 });
  near(report.itl_ms.mean, dynamo.itl_ms, { share: 0.03 });
  near(report.reuse, dynamo.reuse, { amount: 0.01 });
});

test('round robin over an untouched queue agrees to a millionth', () => {
  const exact = cells.find(({ cell }) => cell.router === 'round-robin' && cell.hostBlocks === 4096)!;
  const { trace, requests, ...rest } = exact.cell;
  const report = replay({ ...rest, ...DYNAMO, trace: cut(trace, requests) });
  near(report.ttft_ms.mean, exact.dynamo.ttft_ms, { share: 1e-6 });
  near(report.e2e_ms.mean, exact.dynamo.e2e_ms, { share: 1e-6 });
});
