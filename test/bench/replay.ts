/**
 * Compares whole replays with what Dynamo's own replay said of the same cells (recorded by test/sim/record_peer.py):
 *
 *     node test/bench/replay.ts recorded.json > docs/benchmarks/DATE-replay.json
 *
 * kv breaks ties at random on both sides, so those cells are means of as many runs as were recorded.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../cli/paths.ts';
import type { Cell } from '../../cli/replay/plan.ts';
import { replay } from '../../cli/replay/replay.ts';
import { readTrace } from '../../cli/replay/trace.ts';
import { versions } from './versions.ts';

type Figure = number | { mean: number; min: number; max: number };

interface Recorded {
  cell: Omit<Cell, 'trace'> & { trace: string; handoff?: Record<string, number> };
  dynamo: Record<'ttft_ms' | 'e2e_ms' | 'itl_ms' | 'reuse' | 'p99_ttft_ms', Figure>;
}

const SEEDS = [1, 2, 3];
const [file = ''] = process.argv.slice(2);
const recorded = JSON.parse(readFileSync(file, 'utf8')) as Recorded[];
const traces = new Map(
  ['conversation', 'synthetic'].map((name) => [
    name,
    readTrace(join(PROJECT_ROOT, 'test', 'fixtures', 'traces', `${name}_trace.jsonl`)),
  ]),
);
const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const rounded = (value: number) => Number(value.toPrecision(6));
const meanOf = (figure: Figure) => (typeof figure === 'number' ? figure : figure.mean);

function compare({ cell, dynamo }: Recorded) {
  const { trace, handoff = {}, set = {}, ...rest } = cell;
  const startedMs = performance.now();
  const seeds = typeof dynamo.ttft_ms === 'number' ? [1] : SEEDS;
  const reports = seeds.map((seed) =>
    replay({ ...rest, routerPolicy: 'dynamo', trace: traces.get(trace)!, seed, set: { ...set, ...handoff } }),
  );
  const wallS = (performance.now() - startedMs) / 1000 / seeds.length;
  const stator = {
    ttft_ms: mean(reports.map((report) => report.ttft_ms.mean)),
    e2e_ms: mean(reports.map((report) => report.e2e_ms.mean)),
    itl_ms: mean(reports.map((report) => report.itl_ms.mean)),
    reuse: mean(reports.map((report) => report.reuse)),
    p99_ttft_ms: mean(reports.map((report) => report.ttft_ms.p99)),
  };
  const percent = (name: 'ttft_ms' | 'e2e_ms' | 'itl_ms') =>
    rounded(100 * (stator[name] / meanOf(dynamo[name]) - 1));
  const off = {
    ttft_percent: percent('ttft_ms'),
    e2e_percent: percent('e2e_ms'),
    itl_percent: percent('itl_ms'),
    reuse: rounded(stator.reuse - meanOf(dynamo.reuse)),
  };
  const figures = Object.fromEntries(Object.entries(stator).map(([name, value]) => [name, rounded(value)]));
  return { cell, dynamo, stator: figures, off, wall_s: rounded(wallS) };
}

const cells = recorded.map(compare);
const most = (values: number[]) => Math.max(...values.map(Math.abs));
process.stdout.write(
  `${JSON.stringify(
    {
      command:
        'node test/bench/replay.ts recorded.json (recorded by test/sim/record_peer.py with ai-dynamo 1.6.1)',
      date: new Date().toISOString().slice(0, 10),
      versions: versions(),
      most_off: {
        ttft_percent: most(cells.map(({ off }) => off.ttft_percent)),
        e2e_percent: most(cells.map(({ off }) => off.e2e_percent)),
        reuse: most(cells.map(({ off }) => off.reuse)),
      },
      cells,
    },
    null,
    1,
  )}\n`,
);
