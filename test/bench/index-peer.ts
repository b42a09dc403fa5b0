/**
 * The peer of the index benchmark: Dynamo's own RadixTree, native, in the program that `--peer DIR` has the sources of
 * (`Cargo.toml`, `src/main.rs`, one JSON line a measurement). It is copied into the state folder and built there once,
 * with cargo: as it is for the times, and with its counting allocator for the memory.
 *
 * The copy gets four additions; its timed code is left alone. The CPU time of the stores beside their wall time. The same finds again after the removals, where the program
 * stops, because their checksums must agree as well. What reading the clock costs. And each query is read once before its
 * time begins: a router has just hashed the prompt, so what is measured is the index and not the list of queries.
 */

import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { STATE_DIR } from '../../cli/paths.ts';

export interface PeerRun {
  /** CPU time a block. */
  store_ns: number;
  store_wall_ns: number;
  remove_ns: number;
  clock_ns: number;
  /** p50 in ns, clock included, and checksum by query length. */
  find: Record<string, { p50_ns: number; checksum: number }>;
  after_removal: Record<string, number>;
}

export interface IndexPeer {
  version: string;
  run(size: readonly number[]): PeerRun;
  /** Live heap bytes after the stores, a block. */
  bytesPerBlock(size: readonly number[]): number;
}

interface Line {
  backend: string;
  op: string;
  len: number;
  nodes: number;
  blocks: number;
  s: number;
  p50_ns: number;
  checksum: number;
  live_heap_delta_mb: number;
}

const LOOP = / {4}for \(kind, len\) in CASES \{[\s\S]*?\n {4}\}\n/;
const STORED = 'r0, "store");';
/** What Linux says this thread has run, in ns. */
const CPU_NS = `
fn cpu_ns() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0.0)
}
`;
const CALL = 'let a = Instant::now(); let o = t.find_matches';
const READ = 'std::hint::black_box(q.iter().fold(0u64, |all, hash| all ^ hash.0)); ';
const END = 'r0, "remove");\n}';
const CLOCK = `    let mut ns: Vec<u64> = (0..nq).map(|_| { let a = Instant::now(); a.elapsed().as_nanos() as u64 }).collect();
    ns.sort_unstable();
    report_q(&h, "clock", 0, ns, 1.0, 0);
`;

/** Builds once (minutes). */
export function prepareIndexPeer(source: string): IndexPeer {
  const home = join(STATE_DIR, 'peer', 'radix-bench');
  const from = resolve(source);
  if (!existsSync(join(from, 'Cargo.toml'))) throw new Error(`--peer: there is no ${from}/Cargo.toml`);
  mkdirSync(join(home, 'src'), { recursive: true });
  for (const name of ['Cargo.toml', 'Cargo.lock']) {
    if (existsSync(join(from, name))) cpSync(join(from, name), join(home, name));
  }
  const main = join(home, 'src', 'main.rs');
  const text = extended(readFileSync(join(from, 'src', 'main.rs'), 'utf8'));
  if (!existsSync(main) || readFileSync(main, 'utf8') !== text) writeFileSync(main, text);
  const timing = build(home, 'times', []);
  const memory = build(home, 'memory', ['--features', 'mem']);
  return {
    version:
      /dynamo-kv-router = "=?([\d.]+)"/.exec(readFileSync(join(home, 'Cargo.toml'), 'utf8'))?.[1] ?? '',
    run: (size) => timesOf(lines(timing, size)),
    bytesPerBlock(size) {
      const store = lines(memory, size).find(({ op }) => op === 'store')!;
      // 68 of the 128 blocks of each sequence are its own share of distinct ones.
      return (store.live_heap_delta_mb * 1e6) / ((store.blocks / 128) * 68);
    },
  };
}

function extended(main: string): string {
  const plain = LOOP.exec(main)?.[0];
  const loop = plain?.replace(CALL, READ + CALL);
  if (!plain || !loop || loop === plain || !main.includes(END))
    throw new Error('--peer: main.rs is not the program that is known here');
  const again = `    let h = Hdr { backend: "after removal".into(), total, workers: w.workers };\n`;
  const stores = '    for e in evs { t.apply_event(e).unwrap(); }';
  if (!main.includes(stores) || !main.includes(STORED))
    throw new Error('--peer: main.rs stores in another way');
  const cpu = `println!("{{\\"op\\":\\"store_cpu\\",\\"blocks\\":{},\\"s\\":{}}}", n * EV, cpu / 1e9);`;
  const timed = main
    .replace(stores, `    let cpu = cpu_ns();\n${stores}\n    let cpu = cpu_ns() - cpu;`)
    .replace(STORED, `${STORED}\n    ${cpu}`);
  return timed.concat(CPU_NS).replace(plain, loop).replace(END, `r0, "remove");\n${again}${loop}${CLOCK}}`);
}

function build(home: string, target: string, features: string[]): string {
  const args = ['build', '--release', '--quiet', '--target-dir', `target-${target}`, ...features];
  process.stderr.write(`building the peer (${target}; minutes the first time) …\n`);
  execFileSync('cargo', args, { cwd: home, stdio: ['ignore', 2, 2] });
  return join(home, `target-${target}`, 'release', 'radix-bench');
}

function lines(binary: string, [blocks, workers, queries]: readonly number[]): Line[] {
  const args = [`${blocks}`, `${workers}`, `${queries}`, 'radix'];
  const output = execFileSync(binary, args, { encoding: 'utf8' });
  return output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
}

function timesOf(all: Line[]): PeerRun {
  const finds = (backend: string) =>
    all.filter((line) => line.backend === backend && line.op === 'find_full');
  const perBlock = (op: string) => {
    const line = all.find((one) => one.op === op)!;
    return (line.s * 1e9) / line.blocks;
  };
  return {
    store_ns: perBlock('store_cpu'),
    store_wall_ns: perBlock('store'),
    remove_ns: perBlock('remove'),
    clock_ns: all.find(({ op }) => op === 'find_clock')!.p50_ns,
    find: Object.fromEntries(
      finds('RadixTree').map(({ len, p50_ns, checksum }) => [len, { p50_ns, checksum }]),
    ),
    after_removal: Object.fromEntries(finds('after removal').map(({ len, checksum }) => [len, checksum])),
  };
}
