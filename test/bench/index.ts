/**
 * `npm run bench:index`: our prefix index, as WebAssembly in Node, against Dynamo's RadixTree, native, on the same workload.
 *
 * Both sides run in turn, each time in a process of its own, `--rounds` times; a figure is the median of its side's rounds,
 * a ratio the median of the rounds' ratios: the two sides of a round ran right after each other, and a shared machine's speed
 * drifts. A store is CPU time (two million of them cannot run undisturbed; the wall time of each round stands beside). Finds
 * are p50 without the clock's own p50, which is measured on each side. Checksums cover who has how much of every query,
 * before and after the removals.
 */

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { PROJECT_ROOT } from '../../cli/paths.ts';
import type { OurRun } from './index-ours.ts';
import { type IndexPeer, type PeerRun, prepareIndexPeer } from './index-peer.ts';
import { versions } from './versions.ts';

const LENGTHS = ['16', '64', '256'] as const;
const DEFAULT_PEER = '../shared/peer/radix-bench';
const HELP = `npm run bench:index -- [options]
  --json        one JSON document on stdout instead of a table
  --peer DIR    sources of the native peer [${DEFAULT_PEER} if it exists, else our side alone]
  --blocks N    distinct blocks [1000000]
  --workers N   workers [8]
  --queries N   queries of each length [20000]
  --rounds N    how often each side runs [8]`;

const { values: args } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    peer: { type: 'string' },
    blocks: { type: 'string', default: '1000000' },
    workers: { type: 'string', default: '8' },
    queries: { type: 'string', default: '20000' },
    rounds: { type: 'string', default: '8' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

type Run = Pick<PeerRun, 'store_ns' | 'store_wall_ns' | 'remove_ns' | 'clock_ns' | 'find' | 'after_removal'>;

interface Figures {
  store_ns: number;
  find_p50_ns: Record<string, number>;
  remove_ns: number;
  bytes_per_block: number;
  checksums: Record<string, number>;
  after_removal: Record<string, number>;
}

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;
const rounded = (value: number, digits = 1): number => Number(value.toFixed(digits));

/** The medians of a side's rounds; its checksums must be the same in all of them. */
function figures(runs: readonly Run[], bytesPerBlock: number): Figures {
  const checksums = runs.map(({ find }) => byLength((length) => find[length]!.checksum));
  const after = runs.map(({ after_removal }) => byLength((length) => after_removal[length]!));
  for (const list of [checksums, after]) {
    if (new Set(list.map((one) => JSON.stringify(one))).size > 1)
      throw new Error('checksums differ between rounds');
  }
  const find = (length: string) => median(runs.map((run) => foundNs(run, length)));
  return {
    store_ns: rounded(median(runs.map(({ store_ns }) => store_ns))),
    find_p50_ns: byLength((length) => Math.round(find(length))),
    remove_ns: rounded(median(runs.map(({ remove_ns }) => remove_ns))),
    bytes_per_block: rounded(bytesPerBlock),
    checksums: checksums[0]!,
    after_removal: after[0]!,
  };
}

const byLength = (value: (length: string) => number): Record<string, number> =>
  Object.fromEntries(LENGTHS.map((length) => [length, value(length)]));

const foundNs = (run: Run, length: string): number => run.find[length]!.p50_ns - run.clock_ns;

/** Peer ÷ ours: above 1 we are faster or smaller. */
function ratios(peer: readonly Run[], ours: readonly Run[], memory: number): Record<string, number> {
  const ratio = (of: (run: Run) => number) =>
    rounded(median(ours.map((run, round) => of(peer[round]!) / of(run))), 2);
  return {
    store: ratio(({ store_ns }) => store_ns),
    find16: ratio((run) => foundNs(run, '16')),
    find64: ratio((run) => foundNs(run, '64')),
    find256: ratio((run) => foundNs(run, '256')),
    memory: rounded(memory, 2),
  };
}

function ourRun(size: readonly number[], withLimits: boolean): OurRun {
  const script = join(PROJECT_ROOT, 'test', 'bench', 'index-ours.ts');
  const argv = ['--expose-gc', script, ...size.map(String), ...(withLimits ? ['limits'] : [])];
  return JSON.parse(execFileSync(process.execPath, argv, { encoding: 'utf8', stdio: ['ignore', 'pipe', 2] }));
}

function measured(peer: IndexPeer | null, size: readonly number[], rounds: number) {
  const theirs: PeerRun[] = [];
  const own: OurRun[] = [];
  for (let round = 1; round <= rounds; round++) {
    process.stderr.write(`round ${round} of ${rounds}\n`);
    if (peer) theirs.push(peer.run(size));
    own.push(ourRun(size, round === rounds));
  }
  const ours = figures(own, own[0]!.bytes_per_block);
  const limits = own.at(-1)!.limits;
  if (!peer) return { ours, limits };
  const native = figures(theirs, peer.bytesPerBlock(size));
  const sums = ({ checksums, after_removal }: Figures) => JSON.stringify([checksums, after_removal]);
  const rows = own.map((run, i) => ({ ours: row(run), peer: row(theirs[i]!) }));
  return {
    ours,
    peer: native,
    equal: sums(ours) === sums(native),
    ratio: ratios(theirs, own, native.bytes_per_block / ours.bytes_per_block),
    limits,
    rounds: rows,
  };
}

const row = (run: Run) => ({
  store_ns: rounded(run.store_ns),
  store_wall_ns: rounded(run.store_wall_ns),
  clock_ns: Math.round(run.clock_ns),
  find_p50_ns: byLength((length) => run.find[length]!.p50_ns),
});

function peerFolder(): string | null {
  if (args.peer) return args.peer;
  const folder = join(PROJECT_ROOT, DEFAULT_PEER);
  return existsSync(folder) ? folder : null;
}

function main(): number {
  if (args.help) {
    console.log(HELP);
    return 0;
  }
  const size = [args.blocks, args.workers, args.queries].map(Number);
  const folder = peerFolder();
  const peer = folder === null ? null : prepareIndexPeer(folder);
  const result = measured(peer, size, Number(args.rounds));
  const command = `npm run bench:index -- ${process.argv.slice(2).filter(isPortable).join(' ')}`.trim();
  const about = {
    date: new Date().toISOString(),
    command,
    blocks: size[0],
    workers: size[1],
    queries: size[2],
  };
  const tools = { ...versions(), ...(peer ? { 'dynamo-kv-router': peer.version } : {}) };
  if (args.json) console.log(JSON.stringify({ ...about, versions: tools, ...result }, null, 1));
  else print(result);
  return 'equal' in result && !result.equal ? 1 : 0;
}

/** No path of this machine gets into a committed file. */
const isPortable = (argument: string) => !argument.startsWith('/');

function print(result: ReturnType<typeof measured>): void {
  const sides = 'peer' in result ? { ours: result.ours, peer: result.peer } : { ours: result.ours };
  for (const [name, side] of Object.entries(sides)) {
    const finds = LENGTHS.map((length) => `${side.find_p50_ns[length]}`).join(' / ');
    console.log(
      `${name}: store ${side.store_ns} ns a block, find ${finds} ns, ${side.bytes_per_block} B a block`,
    );
  }
  if ('peer' in result) {
    console.log(
      `checksums ${result.equal ? 'equal' : 'DIFFER'}; peer ÷ ours: ${JSON.stringify(result.ratio)}`,
    );
  }
  console.log(`limits: ${JSON.stringify(result.limits)}`);
}

process.exitCode = main();
