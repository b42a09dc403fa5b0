/**
 * `npm run bench:transfer`: how fast KV blocks move from one process to another, per backend and block size, against copying the same
 * blocks inside one process (memcpy) in the same run.
 *
 * `gb_per_s` is the backend alone: the source writes every block into the reader's slots. The whole pull adds metadata, grant, what
 * is said over gRPC, and comparing each block with its checksum. Rounds of memcpy and of each backend take turns; the median counts. The source is a process of its own, on this machine;
 * CPU is that of both processes, the longest turn that of the reader's event loop. Then the disk tier against a plain file
 * (transfer-disk.ts).
 */

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { HostArena } from '../../gpu-sidecar/kvbm/tiers/host-arena.ts';
import { nativeXxh3 } from '../../gpu-sidecar/kvbm/tiers/native-xxh3.ts';
import { CAPABILITY_BYTES } from '../../gpu-sidecar/transfer/backend.ts';
import { blocksOfWord } from '../gpu-sidecar/kvbm/named-blocks.ts';
import { layoutOfBytes } from '../gpu-sidecar/transfer/memory-blocks.ts';
import { openOnly } from '../gpu-sidecar/transfer/open-only.ts';
import { ReaderEnd } from '../gpu-sidecar/transfer/transfer-ends.ts';
import { cpuSum } from './process-cpu.ts';
import { measureDisk } from './transfer-disk.ts';
import { versions } from './versions.ts';

const { values: args } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    backends: { type: 'string', default: 'shm,nixl,tcp' },
    sizes: { type: 'string', default: '65536,1048576,67108864' },
    total: { type: 'string', default: '268435456' },
    rounds: { type: 'string', default: '7' },
    'nixl-library': { type: 'string', default: '' },
    'disk-block': { type: 'string', default: '1048576' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

const HELP = `npm run bench:transfer -- [options]
  --json              one JSON document on stdout instead of tables
  --backends LIST     [shm,nixl,tcp]
  --sizes LIST        bytes of a block [65536,1048576,67108864]
  --total BYTES       moved in one round [268435456]
  --rounds N          [7]
  --nixl-library PATH as the setting nixl_library; empty: where it usually is
  --disk-block BYTES  block of the disk tier [1048576]`;

const NEVER = new AbortController().signal;
const gbPerS = (bytes: number, ms: number) => bytes / 1e6 / ms;
const round = (value: number) => Number(value.toFixed(2));
const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1]!;

/** One backend at one size, ready to pull. */
async function openPair(backend: string, blockBytes: number, count: number) {
  const peer = join(import.meta.dirname, 'transfer-peer.ts');
  const library = args['nixl-library'];
  const child = spawn(process.execPath, [peer, backend, String(blockBytes), String(count), library], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const end = async () => {
    child.stdin.end();
    if (child.exitCode === null) await once(child, 'exit');
  };
  const lines = createInterface({ input: child.stdout });
  const hear = async <T>(): Promise<T> => {
    const [line] = await Promise.race([once(lines, 'line'), once(child, 'exit').then(() => [null])]);
    if (line === null) throw new Error(`the source for ${backend} has ended`);
    return JSON.parse(String(line)) as T;
  };
  const { address, announced } = await hear<{ address: string; announced: string }>();
  try {
    const reader = await ReaderEnd.open({
      layout: layoutOfBytes(blockBytes),
      capacityBlocks: count,
      open: openOnly(backend, library),
      shared: backend === 'shm',
    });
    const blocks = blocksOfWord('b'.repeat(count));
    return {
      pid: child.pid!,
      /** Milliseconds of one whole pull. */
      async pull(): Promise<number> {
        reader.blocks.clear();
        const fromMs = performance.now();
        const result = await reader.puller.pull({ address, blocks, signal: NEVER });
        const ms = performance.now() - fromMs;
        if (result.fault || result.backend !== backend || result.bytes !== blockBytes * count)
          throw new Error(`a pull by ${backend} ended with ${result.blocks} blocks: ${result.message}`);
        return ms;
      },
      /** Milliseconds of the backend alone: the source writes every block, nothing is said or compared. */
      async push(): Promise<number> {
        const window = await reader.backend.offer(Buffer.from(announced, 'base64'));
        if (window === null) throw new Error(`${backend} does not lead to its own machine`);
        const capability = randomBytes(CAPABILITY_BYTES);
        for (let index = 0; index < count; index++) {
          window.expect(index, { slot: index, bytes: reader.blocks.arena.block(index) });
        }
        const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
        const line = { window: base64(window.description), capability: base64(capability) };
        const answer = hear<{ ms: number }>();
        child.stdin.write(`${JSON.stringify(line)}\n`);
        // The source must know the capability before it is shown.
        if (backend === 'tcp') await new Promise((resolve) => setTimeout(resolve, 20));
        const fromMs = performance.now();
        await window.begin(capability, NEVER);
        const { ms } = await answer;
        for (let index = 0; index < count; index++) await window.arrived(index);
        const arrivedMs = performance.now() - fromMs;
        await window.close(AbortSignal.abort());
        // tcp has the source wait for the reader, and buffers at the end: there the reader's time counts.
        return backend === 'tcp' ? arrivedMs : ms;
      },
      async close() {
        await reader[Symbol.asyncDispose]();
        reader.blocks.arena.close();
        await end();
      },
    };
  } catch (thrown) {
    await end();
    throw thrown;
  }
}

/** Copies block by block from one arena into another. */
function memcpyOf(blockBytes: number, count: number) {
  const [from, to] = [0, 1].map(() => new HostArena({ capacityBlocks: count, blockBytes })) as [
    HostArena,
    HostArena,
  ];
  from.bytes.fill(3);
  to.bytes.fill(4);
  return {
    copy(): number {
      const fromMs = performance.now();
      for (let i = 0; i < count; i++) to.block(i).set(from.block(i));
      return performance.now() - fromMs;
    },
    close() {
      from.close();
      to.close();
    },
  };
}

async function measureSize(blockBytes: number, names: readonly string[]) {
  const count = Math.max(8, Math.floor(Number(args.total) / blockBytes));
  const bytes = count * blockBytes;
  const memcpy = memcpyOf(blockBytes, count);
  const copies: number[] = [];
  const pairs = new Map<string, Awaited<ReturnType<typeof openPair>>>();
  const missing: Record<string, string> = {};
  for (const name of names) {
    try {
      pairs.set(name, await openPair(name, blockBytes, count));
    } catch (thrown) {
      missing[name] = (thrown as Error).message;
    }
  }
  const rounds = new Map([...pairs.keys()].map((name) => [name, [] as number[]]));
  const longestTurns = new Map<string, number>();
  const cpuSeconds = new Map<string, number>();
  const pushes = new Map([...pairs.keys()].map((name) => [name, [] as number[]]));
  for (const { pull, push } of pairs.values()) {
    await pull();
    await push();
  }
  memcpy.copy();
  for (let i = 0; i < Number(args.rounds); i++) {
    for (const [name, { pid, pull, push }] of pairs) {
      pushes.get(name)!.push(gbPerS(bytes, await push()));
      copies.push(gbPerS(bytes, memcpy.copy()));
      const delay = monitorEventLoopDelay({ resolution: 1 });
      delay.enable();
      const before = cpuSum([process.pid, pid]);
      rounds.get(name)!.push(gbPerS(bytes, await pull()));
      const { user, system } = cpuSum([process.pid, pid]);
      delay.disable();
      const cpu = user + system - before.user - before.system;
      cpuSeconds.set(name, (cpuSeconds.get(name) ?? 0) + cpu);
      longestTurns.set(name, Math.max(longestTurns.get(name) ?? 0, delay.max / 1e6));
    }
  }
  for (const pair of pairs.values()) await pair.close();
  memcpy.close();
  const memcpyGbPerS = median(copies);
  const backends = Object.fromEntries(
    [...rounds].map(([name, each]) => [
      name,
      {
        gb_per_s: round(median(pushes.get(name)!)),
        of_memcpy: round(median(pushes.get(name)!) / memcpyGbPerS),
        whole_pull_gb_per_s: round(median(each)),
        whole_pull_of_memcpy: round(median(each) / memcpyGbPerS),
        cpu_s_per_gb: round(cpuSeconds.get(name)! / ((each.length * bytes) / 1e9)),
        longest_turn_ms: round(longestTurns.get(name)!),
      },
    ]),
  );
  return { block_bytes: blockBytes, blocks: count, memcpy_gb_per_s: round(memcpyGbPerS), backends, missing };
}

async function main(): Promise<void> {
  const names = args.backends.split(',').filter(Boolean);
  const sizes: Awaited<ReturnType<typeof measureSize>>[] = [];
  for (const size of args.sizes.split(',').filter(Boolean))
    sizes.push(await measureSize(Number(size), names));
  const diskBlock = Number(args['disk-block']);
  const disk = await measureDisk({
    blockBytes: diskBlock,
    blocks: Math.floor(Number(args.total) / diskBlock),
    rounds: Number(args.rounds),
  });
  const checksums = nativeXxh3 ? 'libxxhash' : 'wasm';
  if (args.json) {
    const command = 'npm run bench:transfer -- --json';
    const date = new Date().toISOString().slice(0, 10);
    console.log(JSON.stringify({ command, date, versions: versions(), checksums, sizes, disk }, null, 2));
    return;
  }
  for (const { block_bytes, memcpy_gb_per_s, backends, missing } of sizes) {
    console.log(`blocks of ${block_bytes} bytes; memcpy ${memcpy_gb_per_s} GB/s; checksums by ${checksums}`);
    console.table(backends);
    for (const [name, why] of Object.entries(missing)) console.log(`${name}: ${why}`);
  }
  console.log(`disk tier against a plain file, blocks of ${disk.block_bytes} bytes`);
  console.table({ tier: disk.tier_gb_per_s, file: disk.file_gb_per_s, ratio: disk.ratio });
}

if (args.help) console.log(HELP);
else await main();
process.exit();
