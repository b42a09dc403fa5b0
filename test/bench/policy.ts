/**
 * `npm run bench:policy`: Stator's rule, untuned, beside Dynamo's default and beside the best of a list of hand-picked
 * settings of Dynamo's, cell by cell, by replaying Mooncake's traces in virtual time. The same figures on any machine.
 *
 * A table on stdout, row by row as cells are done; progress on stderr. Ratios are Stator ÷ Dynamo: below 1 is better.
 */

import { parseArgs } from 'node:util';
import { ablate } from './policy-ablation.ts';
import { ALL_CELLS, DYNAMO_SETTINGS, FEW_CELLS } from './policy-cells.ts';
import { compareInRealTime } from './policy-real.ts';
import { type Figures, Runs } from './policy-runs.ts';
import { versions } from './versions.ts';

const HELP = `npm run bench:policy -- [options]
  --json          one JSON document on stdout instead of tables
  --cells LIST    default, all, or names by commas, as in conversation-8-4096-1,synthetic-5+3-8192-3 [default]
  --tuned         also the hand-picked settings of Dynamo's, and the best of them for each metric
  --ablate        also the rule without each of its parts, and with wrong timing
  --real          instead: two deployments with mock workers in real time, side by side
  --requests N    of --real [1500]
  --engine-speedup X  of --real: engines are so many times as fast as the router believes at first [5]
  --hold MS       of Stator's: router_queue_wait_ms, or off [5]
  --seed N        [1]
  --save FILE     keeps each replay there, and takes from there what is known`;

const { values: args } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    cells: { type: 'string', default: 'default' },
    tuned: { type: 'boolean', default: false },
    ablate: { type: 'boolean', default: false },
    real: { type: 'boolean', default: false },
    requests: { type: 'string', default: '1500' },
    'engine-speedup': { type: 'string', default: '5' },
    hold: { type: 'string', default: '5' },
    seed: { type: 'string', default: '1' },
    save: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

const say = (text: string): void => {
  if (!args.json) console.log(text);
};

/** The best setting of one metric. */
interface Best {
  value: number;
  setting: string;
}

interface Row {
  cell: string;
  dynamo: Figures;
  stator: Figures;
  /** Stator ÷ Dynamo's default. */
  ratio: { ttft: number; e2e: number; p99_ttft: number };
  best?: { ttft: Best; e2e: Best; p99_ttft: Best };
  /** Stator ÷ the best hand-picked of each metric. */
  best_ratio?: { ttft: number; e2e: number; p99_ttft: number };
}

const ratio = (value: number, other: number) => Number((value / other).toFixed(4));
const ratios = (stator: Figures, other: { ttft: number; e2e: number; p99_ttft: number }) => ({
  ttft: ratio(stator.ttft_ms, other.ttft),
  e2e: ratio(stator.e2e_ms, other.e2e),
  p99_ttft: ratio(stator.p99_ttft_ms, other.p99_ttft),
});

function compare(runs: Runs, cell: string, seed: number): Row {
  const variant = args.hold === 'off' ? '' : `hold ${args.hold}`;
  const set = { router_queue_wait_ms: args.hold };
  const stator = runs.figures({ cell, variant, policy: 'stator', seed, set });
  const run = (variant: string) =>
    runs.figures({ cell, variant, policy: 'dynamo', seed, set: DYNAMO_SETTINGS[variant]! });
  const dynamo = run('default');
  const byDefault = { ttft: dynamo.ttft_ms, e2e: dynamo.e2e_ms, p99_ttft: dynamo.p99_ttft_ms };
  const row: Row = { cell, dynamo, stator, ratio: ratios(stator, byDefault) };
  if (!args.tuned) return row;
  const tried = Object.keys(DYNAMO_SETTINGS).map((setting) => ({ setting, figures: run(setting) }));
  const least = (metric: 'ttft_ms' | 'e2e_ms' | 'p99_ttft_ms'): Best => {
    const [first, ...others] = tried;
    const winner = others.reduce((a, b) => (b.figures[metric] < a.figures[metric] ? b : a), first!);
    return { value: winner.figures[metric], setting: winner.setting };
  };
  const best = { ttft: least('ttft_ms'), e2e: least('e2e_ms'), p99_ttft: least('p99_ttft_ms') };
  const values = { ttft: best.ttft.value, e2e: best.e2e.value, p99_ttft: best.p99_ttft.value };
  return { ...row, best, best_ratio: ratios(stator, values) };
}

const columns = (cells: readonly (string | number)[], widths: readonly number[]) =>
  cells.map((cell, i) => (i === 0 ? `${cell}`.padEnd(widths[i]!) : `${cell}`.padStart(widths[i]!))).join(' ');
const WIDTHS = [26, 20, 20, 20, 22];
const three = ({ ttft, e2e, p99_ttft }: Row['ratio']) =>
  [ttft, e2e, p99_ttft].map((value) => value.toFixed(3)).join(' ');
const figures = ({ ttft_ms, e2e_ms, p99_ttft_ms, reuse }: Figures) =>
  `${ttft_ms.toFixed(0)} ${e2e_ms.toFixed(0)} ${p99_ttft_ms.toFixed(0)} ${reuse.toFixed(3)}`;

function sayRow({ cell, dynamo, stator, ratio, best, best_ratio }: Row): void {
  const row = [cell, figures(dynamo), figures(stator), three(ratio)];
  if (best_ratio) row.push(three(best_ratio));
  say(columns(row, WIDTHS));
  if (best) say(`    best by hand: TTFT ${inWords(best.ttft)}; E2E ${inWords(best.e2e)}`);
}

const inWords = ({ value, setting }: Best) => `${value.toFixed(0)} (${setting})`;

/** Geometric mean and worst of each ratio over all cells. */
function summary(rows: readonly Row[], of: 'ratio' | 'best_ratio') {
  const metric = (name: keyof Row['ratio']) => {
    const values = rows.map((row) => row[of]![name]);
    const mean = Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
    return { mean: Number(mean.toFixed(4)), worst: Math.max(...values) };
  };
  return { ttft: metric('ttft'), e2e: metric('e2e'), p99_ttft: metric('p99_ttft') };
}

function saySummary(title: string, { ttft, e2e, p99_ttft }: ReturnType<typeof summary>): void {
  const words = ({ mean, worst }: { mean: number; worst: number }) =>
    `${mean.toFixed(3)} (worst ${worst.toFixed(3)})`;
  say(
    `Stator ÷ ${title}, geometric mean: TTFT ${words(ttft)}, E2E ${words(e2e)}, p99 TTFT ${words(p99_ttft)}`,
  );
}

function main(): void {
  const runs = new Runs(args.save);
  const seed = Number(args.seed);
  const lists: Readonly<Record<string, readonly string[]>> = { default: FEW_CELLS, all: ALL_CELLS };
  const cells = lists[args.cells] ?? args.cells.split(',');
  const head = ['cell', "Dynamo's default", 'Stator', 'ratio', args.tuned ? '÷ best by hand' : ''];
  say('TTFT, E2E and p99 TTFT in ms of virtual time, reuse');
  say(columns(head, WIDTHS));
  const rows: Row[] = [];
  for (const cell of cells) {
    const row = compare(runs, cell, seed);
    rows.push(row);
    sayRow(row);
  }
  const overDefault = summary(rows, 'ratio');
  saySummary("Dynamo's default", overDefault);
  const overBest = args.tuned ? summary(rows, 'best_ratio') : undefined;
  if (overBest) saySummary('the best by hand of each metric', overBest);
  const ablation = args.ablate ? ablate(runs, cells, seed, say) : undefined;
  if (!args.json) return;
  const document = {
    command: `npm run bench:policy -- ${process.argv.slice(2).join(' ')}`,
    date: new Date().toISOString().slice(0, 10),
    versions: versions(),
    summary: { over_default: overDefault, over_best: overBest },
    settings: args.tuned ? DYNAMO_SETTINGS : undefined,
    cells: rows,
    ablation,
  };
  console.log(JSON.stringify(document, null, 1));
}

if (args.help) console.log(HELP);
else if (args.real) {
  const engineSpeedup = Number(args['engine-speedup']);
  const hold = args.hold === 'off' ? 'off' : Number(args.hold);
  await compareInRealTime({ json: args.json, requests: Number(args.requests), engineSpeedup, hold });
} else main();
