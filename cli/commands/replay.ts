/** `stator replay`: a trace through router and mock engines in virtual time, and what its requests would have seen. */

import { parseArgs } from 'node:util';
import { type ArgsDef, defineCommand, showUsage } from 'citty';
import { StatorError } from '../../durable/runtime/errors.ts';
import { TimingTable } from '../../gpu-sidecar/engines/mock/timing-table.ts';
import { readProfile } from '../../gpu-sidecar/profile-files/profile-file.ts';
import type { Cell } from '../replay/plan.ts';
import { type PlannedOptions, plannedReplays } from '../replay/planner/planned-replay.ts';
import { progressBar } from '../replay/progress-bar.ts';
import { replayThroughObjects, replay as run } from '../replay/replay.ts';
import type { Report } from '../replay/report.ts';
import { reportText } from '../replay/report-text.ts';
import { setNames } from '../replay/set-names.ts';
import { readTrace, TRACE_BLOCK_TOKENS } from '../replay/trace.ts';

const ARGS = {
  trace: { type: 'string', description: 'Trace in the Mooncake format (JSON lines); must be given.' },
  workers: { type: 'string', description: 'Workers that do prefill and decode. [1]' },
  'prefill-workers': { type: 'string', description: 'Workers for prompts only; with --decode-workers.' },
  'decode-workers': { type: 'string', description: 'Workers for answers only.' },
  blocks: { type: 'string', description: 'KV blocks of each worker. [16384]' },
  'block-size': { type: 'string', description: 'Tokens per KV block. [512]' },
  router: { type: 'string', description: 'Router mode; --router-mode is the same. [kv]' },
  'router-policy': { type: 'string', description: 'Rule that prices the workers in mode kv.' },
  speedup: { type: 'string', description: 'Divides the times of arrival. [1]' },
  'host-blocks': { type: 'string', description: "Blocks of each worker's host tier; 0 = none. [0]" },
  'bytes-per-token': { type: 'string', description: 'KV bytes per token, for the host tier. [131072]' },
  'host-gbps': { type: 'string', description: 'GB/s between device and host. [32]' },
  'mock-timing': {
    type: 'string',
    description: "Profile whose times the engines take: of `stator profile`, or Dynamo's; else a polynomial.",
  },
  seed: { type: 'string', description: 'Of all chance; the same seed gives the same bytes. [1]' },
  set: { type: 'string', description: 'name=value: a setting of router or engine, see below; repeatable.' },
  planner: {
    type: 'string',
    description:
      'sla or load: the planner sizes the fleet; the result is compared with a fixed fleet and an oracle.',
  },
  ttft: { type: 'string', description: 'With --planner: target of the first token, ms. [500]' },
  itl: { type: 'string', description: 'With --planner: target of the mean time between tokens, ms. [50]' },
  startup: {
    type: 'string',
    description:
      'With --planner: seconds until an ordered worker is ready; as 0,60,300 a result for each. [0]',
  },
  interval: { type: 'string', description: 'With --planner: seconds between two looks at demand. [60]' },
  min: { type: 'string', description: 'With --planner: fewest workers. [1]' },
  max: {
    type: 'string',
    description: 'With --planner: most workers; --workers are there at the start. [16]',
  },
  profile: {
    type: 'string',
    description: 'With --planner: the profile that it plans by. [what the engines really take]',
  },
  predictor: {
    type: 'string',
    description: 'With --planner: constant, moving-average, arima, kalman or seasonal. [moving-average]',
  },
  direct: {
    type: 'boolean',
    description: "Call the router's core without its object, sockets and timers: faster, the same result.",
    default: false,
  },
  json: { type: 'boolean', description: 'The result as one JSON object.', default: false },
} as const satisfies ArgsDef;

/** Options that are fields of a cell, by their flag. */
const CELL_FLAGS = {
  workers: 'workers',
  'prefill-workers': 'prefillWorkers',
  'decode-workers': 'decodeWorkers',
  blocks: 'blocks',
  'block-size': 'blockSize',
  router: 'router',
  'router-policy': 'routerPolicy',
  speedup: 'speedup',
  'host-blocks': 'hostBlocks',
  'bytes-per-token': 'bytesPerToken',
  'host-gbps': 'hostGbps',
  seed: 'seed',
} as const;

/** Options of the planner that are numbers. */
const PLANNER_FLAGS = ['ttft', 'itl', 'interval', 'min', 'max'] as const;

export const replay = defineCommand({
  meta: {
    name: 'replay',
    description: 'Replay a trace through the router and mock engines in virtual time.',
  },
  args: ARGS,
  async run({ rawArgs }): Promise<number> {
    if (rawArgs.includes('--help') || rawArgs.includes('-h')) return help();
    const { values, positionals } = parse(rawArgs);
    if (values.trace === undefined) throw invalid('--trace is missing: the file to replay');
    const trace = readTrace(values.trace as string, TRACE_BLOCK_TOKENS);
    const cell: Record<string, unknown> = { trace };
    for (const [flag, field] of Object.entries(CELL_FLAGS)) {
      if (values[flag] !== undefined) cell[field] = values[flag];
    }
    const timing = values['mock-timing'] as string | undefined;
    if (timing !== undefined) cell['timing'] = new TimingTable(readProfile(timing));
    cell['set'] = pairs([...((values.set as string[] | undefined) ?? []), ...positionals]);
    const planned = plannerOptions(values);
    const bar = progressBar(trace.requests.length);
    const say = (report: Report) =>
      process.stdout.write(values.json === true ? `${JSON.stringify(report)}\n` : reportText(report));
    try {
      const hooks = { progress: bar.at };
      const asked = cell as unknown as Cell;
      if (planned !== null) for (const report of plannedReplays(asked, planned, hooks)) say(report);
      else say(await (values.direct === true ? run : replayThroughObjects)(asked, hooks));
    } finally {
      bar.end();
    }
    return 0;
  },
});

function parse(rawArgs: string[]) {
  const options: NonNullable<NonNullable<Parameters<typeof parseArgs>[0]>['options']> = {
    'router-mode': { type: 'string' },
  };
  for (const [name, { type }] of Object.entries(ARGS)) options[name] = { type };
  options['set'] = { type: 'string', multiple: true };
  try {
    const { values, positionals } = parseArgs({ args: rawArgs, options, allowPositionals: true });
    const mode = values['router-mode'];
    if (mode !== undefined && values['router'] !== undefined && mode !== values['router']) {
      throw invalid('--router and --router-mode are the same option and differ here');
    }
    return {
      values: { ...values, router: values['router'] ?? mode } as Record<string, unknown>,
      positionals,
    };
  } catch (thrown) {
    if (thrown instanceof StatorError) throw thrown;
    throw invalid(`${(thrown as Error).message.split('. ')[0]}; see --help`);
  }
}

/** Null without --planner. */
function plannerOptions(values: Record<string, unknown>): (PlannedOptions & { startups: number[] }) | null {
  const given = [...PLANNER_FLAGS, 'startup', 'predictor', 'profile'].filter(
    (flag) => values[flag] !== undefined,
  );
  if (values['planner'] === undefined) {
    if (given.length > 0) throw invalid(`--${given[0]} goes with --planner`);
    return null;
  }
  if (values['planner'] !== 'sla' && values['planner'] !== 'load') {
    throw invalid(`--planner wants sla or load, not "${values['planner']}"`);
  }
  const numberOf = (flag: string, word: unknown): number => {
    const number = Number(word);
    if (word === '' || !Number.isFinite(number)) throw invalid(`--${flag}: "${word}" is not a number`);
    return number;
  };
  const startups = ((values['startup'] as string | undefined) ?? '0').split(',');
  const options: PlannedOptions & { startups: number[] } = {
    planner: values['planner'],
    startups: startups.map((word) => numberOf('startup', word)),
  };
  for (const flag of PLANNER_FLAGS) {
    if (values[flag] !== undefined) options[flag] = numberOf(flag, values[flag]);
  }
  if (values['predictor'] !== undefined) options.predictor = values['predictor'] as string;
  if (values['profile'] !== undefined) options.profile = readProfile(values['profile'] as string);
  return options;
}

/** `a=1 b=2` as a record; `--set` may be given once before several. */
function pairs(words: string[]): Record<string, string> {
  const set: Record<string, string> = {};
  for (const word of words) {
    const [name = '', ...value] = word.split('=');
    if (value.length === 0 || name === '') throw invalid(`--set wants name=value, not "${word}"`);
    if (set[name] !== undefined) throw invalid(`--set ${name} is given twice`);
    set[name] = value.join('=');
  }
  return set;
}

async function help(): Promise<number> {
  await showUsage(replay);
  const rows = setNames().map(({ name, fallback, help: text }) => {
    const shown = fallback === '' ? '' : ` [${fallback}]`;
    return `  ${name.padEnd(40)} ${text}${shown}`;
  });
  process.stdout.write(`\nNames for --set (Dynamo's are the same):\n\n${rows.join('\n')}\n`);
  return 0;
}

const invalid = (what: string) => new StatorError('invalid_request', what);
