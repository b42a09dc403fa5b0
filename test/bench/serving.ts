/**
 * `npm run bench`: what one request and one token cost the platform process, with the mock engine behind it.
 *
 * Cells: prompts of 26, 1k and 8k tokens at 1, 16 and 64 connections (`max_tokens` 1, kv routing, fresh prompts), and
 * 256-token streams paced at 5 ms on 64 connections. `--peer DIR` runs the same cells, text and client against the real
 * Dynamo, cell by cell in turn. CPU comes from /proc; req/s and p99 are those of the whole stack on this machine.
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createDeployment } from '../../cli/launch/deployment.ts';
import { freePort } from '../../cli/launch/ports.ts';
import { PROJECT_ROOT } from '../../cli/paths.ts';
import { resolveSettings, type Settings } from '../../durable/runtime/config.ts';
import { type CellPlan, type CellResult, calibrate, runCell, type Side, sideOf } from './cells.ts';
import { profileRequests } from './cpu-profile.ts';
import { type Floor, startFloor } from './floor.ts';
import { type Peer, preparePeer, startPeer } from './peer.ts';
import { singleTokenWords } from './prompts.ts';
import { versions } from './versions.ts';

const HELP = `npm run bench -- [options]
  --json           one JSON document on stdout instead of a table
  --peer DIR       also measure the real Dynamo set up from DIR (see test/bench/peer.ts)
  --seconds N      length of a cell [5]
  --workers N      mock workers on each side [2]
  --prompts LIST   prompt lengths in tokens [26,1006,8006]
  --concurrency L  connections [1,16,64]
  --no-stream      leave the paced streams out
  --profile        sample the platform process on the first of --prompts and print where its time goes
  --seed N         seed of the prompts [the clock]`;

const { values: args } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    peer: { type: 'string' },
    seconds: { type: 'string', default: '5' },
    workers: { type: 'string', default: '2' },
    prompts: { type: 'string', default: '26,1006,8006' },
    concurrency: { type: 'string', default: '1,16,64' },
    'no-stream': { type: 'boolean', default: false },
    profile: { type: 'boolean', default: false },
    seed: { type: 'string', default: String(Date.now() % 1e9) },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

const CONTEXT_TOKENS = 16_384;
const STREAM = { promptTokens: 26, concurrency: 64, maxTokens: 256, stream: true } as const;
const BUILT_IN_TOKENIZER = join(PROJECT_ROOT, 'gpu-sidecar', 'models', 'tiny', 'tokenizer.json');

function plans(): CellPlan[] {
  const seconds = Number(args.seconds);
  const short = list(args.prompts).flatMap((promptTokens) =>
    list(args.concurrency).map((concurrency) => ({
      promptTokens,
      concurrency,
      maxTokens: 1,
      stream: false,
      seconds,
    })),
  );
  return args['no-stream'] ? short : [...short, { ...STREAM, seconds: seconds * 2 }];
}

const list = (text: string) => text.split(',').map(Number);

function statorSettings(tokenizer: string, paced: boolean): Settings {
  return {
    ...resolveSettings([]),
    engine: 'mock',
    tokenizer,
    modelName: 'tiny',
    context: CONTEXT_TOKENS,
    workers: Number(args.workers),
    engineSpeedup: paced ? 1 : 0,
    mockDecodeMs: paced ? 5 : 0,
    routerMode: 'kv',
    logLevel: 'warn',
  };
}

/** Cells of both sides, each measured right after the other, so that a host whose speed drifts is fair to both. */
async function measureAll(tokenizer: string, home: string | null, words: readonly string[]) {
  const ours: CellResult[] = [];
  const theirs: CellResult[] = [];
  const floors: CellResult[] = [];
  for (const paced of [false, true]) {
    const wanted = plans().filter(({ stream }) => stream === paced);
    if (wanted.length === 0) continue;
    const deployment = await createDeployment({
      ...statorSettings(tokenizer, paced),
      port: await freePort(),
    });
    let peer: Peer | null = null;
    let floor: Floor | null = null;
    try {
      await deployment.start();
      const speedup = paced ? 1 : 1_000_000;
      if (home) peer = await startPeer(home, { workers: Number(args.workers), speedup });
      if (!paced) floor = await startFloor();
      for (const plan of wanted) {
        const side = sideOf(deployment);
        const count = await calibrate(side, words, plan.promptTokens);
        ours.push(await measure(side, plan, words, count));
        if (floor) floors.push(await measure(floor.side, plan, words, count));
        if (peer) theirs.push(await measure(peer.side, plan, words));
      }
    } finally {
      floor?.stop();
      peer?.stop();
      await deployment.stop(2_000);
    }
  }
  return { ours, theirs, floors };
}

let seed = Number(args.seed);
async function measure(
  side: Side,
  plan: CellPlan,
  words: readonly string[],
  count?: number,
): Promise<CellResult> {
  seed += 1;
  const result = await runCell(side, plan, words, seed, count);
  const token =
    result.frontend_cpu_us_per_token === null ? '' : ` ${result.frontend_cpu_us_per_token} µs/token`;
  process.stderr.write(
    `${side.name.padEnd(7)} ${String(plan.promptTokens).padStart(5)} tokens c=${String(plan.concurrency).padEnd(3)}` +
      ` ${result.frontend_cpu_ms_per_request} ms CPU/request${token}  ${result.req_per_s} req/s` +
      `  p50 ${result.p50_ms} p99 ${result.p99_ms} ms  worker ${result.worker_cpu_ms_per_request}` +
      `  client ${result.client_cpu_ms_per_request}  other cores ${result.other_cores}  rss ${result.rss_mb} MB\n`,
  );
  return result;
}

/** The top-level numbers: the 26-token cell at 64 connections and the paced streams. */
function summary(cells: readonly CellResult[]) {
  const short = cells.find((cell) => !cell.stream && cell.prompt_tokens === 26 && cell.concurrency === 64);
  const stream = cells.find((cell) => cell.stream);
  return {
    frontend_cpu_ms_per_request: short?.frontend_cpu_ms_per_request ?? null,
    frontend_cpu_us_per_token: stream?.frontend_cpu_us_per_token ?? null,
    req_per_s: short?.req_per_s ?? null,
    p99_ms: short?.p99_ms ?? null,
    rss_mb: cells.length > 0 ? Math.max(...cells.map((cell) => cell.rss_mb)) : null,
    cells,
  };
}

/** Peer ÷ ours, cell by cell: above 1 means that Stator costs less CPU. */
function ratios(ours: readonly CellResult[], theirs: readonly CellResult[]) {
  return ours.flatMap((cell) => {
    const same = theirs.find(
      (other) =>
        other.prompt_tokens === cell.prompt_tokens &&
        other.concurrency === cell.concurrency &&
        other.stream === cell.stream,
    );
    if (!same) return [];
    const ratio = same.frontend_cpu_ms_per_request / cell.frontend_cpu_ms_per_request;
    return [
      {
        prompt_tokens: cell.prompt_tokens,
        concurrency: cell.concurrency,
        stream: cell.stream,
        frontend_cpu: Number(ratio.toFixed(2)),
        req_per_s: Number((cell.req_per_s / same.req_per_s).toFixed(2)),
      },
    ];
  });
}

if (args.help) {
  process.stdout.write(`${HELP}\n`);
} else {
  const home = args.peer ? preparePeer(args.peer) : null;
  const tokenizer = home ? join(home, 'model', 'tokenizer.json') : BUILT_IN_TOKENIZER;
  if (!existsSync(tokenizer)) throw new Error(`there is no ${tokenizer}`);
  const words = singleTokenWords(tokenizer);
  const { ours, theirs, floors } = await measureAll(tokenizer, home, words);
  if (args.profile)
    process.stderr.write(
      await profileRequests(statorSettings(tokenizer, false), words, list(args.prompts)[0] ?? 26),
    );
  const report = {
    ...summary(ours),
    floor: floors.map(
      ({ prompt_tokens, concurrency, req_per_s, p99_ms, frontend_cpu_ms_per_request }, at) => ({
        prompt_tokens,
        concurrency,
        req_per_s,
        p99_ms,
        frontend_cpu_ms_per_request,
        stator_over_floor: Number(
          (ours[at]!.frontend_cpu_ms_per_request / frontend_cpu_ms_per_request).toFixed(2),
        ),
      }),
    ),
    ...(home ? { peer: summary(theirs), ratio: ratios(ours, theirs) } : {}),
    versions: versions(),
    // A path of this machine says nothing to a reader.
    command: `npm run bench -- ${process.argv
      .slice(2)
      .join(' ')
      .replaceAll(args.peer || '--peer=', 'DIR')}`,
    date: new Date().toISOString().slice(0, 10),
  };
  if (args.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  else if (home) for (const row of report.ratio ?? []) process.stdout.write(`${JSON.stringify(row)}\n`);
}
