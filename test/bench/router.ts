/**
 * `npm run bench:router`: what one Router object does in a real workerd with a large fleet on real sockets.
 *
 * Decisions: 1,000 workers that hold 1M blocks, prompts of 500 blocks, one at a time (p50, p99) and eight at a time
 * (decisions a second), as functions beside the object ask and by RPC. Each is an HTTP request to `router-worker.ts`; the
 * same request without a decision is measured in turn with it, and its median taken off. CPU is that of the platform process, from /proc. Events: batches of stored blocks from eight
 * workers, until the last is acknowledged. Snapshots: p99 of decisions while one is written over p99 while none is, in turn.
 * Recovery: `recovery.ts`.
 */

import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import type { RouterStatus } from '../../durable/router/rpc.ts';
import { decide, type Percentiles, percentiles } from './decision-times.ts';
import { BenchWorker } from './fleet-socket.ts';
import { cpuOf, residentMb } from './process-cpu.ts';
import { BigFleet, benchDeployment } from './recovery.ts';
import { PROMPT_BLOCKS, PROMPT_KINDS } from './router-workload.ts';
import { versions } from './versions.ts';

const HELP = `npm run bench:router -- [options]
  --json          one JSON document on stdout instead of a table
  --workers N     workers on fleet sockets [1000]
  --blocks N      blocks that they hold in all [1000000]
  --decisions N   decisions of each measurement [6000]
  --events N      blocks that the event test stores [3000000]`;

const { values: args } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    workers: { type: 'string', default: '1000' },
    blocks: { type: 'string', default: '1000000' },
    decisions: { type: 'string', default: '6000' },
    events: { type: 'string', default: '3000000' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

const EVENT_WORKERS = 8;
const EVENT_BLOCKS = 16;
const EVENTS_PER_FRAME = 64;
const DECISION_ROUNDS = 4;
const SNAPSHOT_ROUNDS = 8;
/** Ranks whose snapshot is written while decisions are timed. */
const SNAPSHOT_RANKS = 200;
const CONCURRENT = 8;
/** Workers that dial at once. */
const DIALS = 50;

const say = (text: string): void => {
  if (!args.json) console.log(text);
};

async function main(): Promise<void> {
  const result = {
    ...(await largeFleet()),
    recovery: await recovery(),
    versions: versions(),
    load: loadavg(),
  };
  if (args.json) console.log(JSON.stringify(result, null, 2));
}

async function largeFleet() {
  const workers = Number(args.workers);
  const deployment = await benchDeployment();
  const fleet: BenchWorker[] = [];
  try {
    await deployment.startPlatform();
    const { url } = deployment;
    const startedMs = performance.now();
    const each = Math.round(Number(args.blocks) / workers);
    for (let i = 0; i < workers; i += DIALS) {
      const dials = Array.from({ length: Math.min(DIALS, workers - i) }, (_, k) =>
        BenchWorker.join(url, i + k, each),
      );
      fleet.push(...(await Promise.all(dials)));
    }
    const joinedMs = performance.now() - startedMs;
    const { indexBlocks, indexBytes } = await status(url);
    say(
      `${workers} workers, ${indexBlocks} blocks, ${(indexBytes / 1e6).toFixed(0)} MB, joined in ${joinedMs.toFixed(0)} ms`,
    );
    const pid = deployment.platform.pid as number;
    const decisions = await decisionFigures(url, workers, pid);
    const events = await eventFigures(fleet, pid);
    const snapshot = await snapshotFigures(url, workers, fleet);
    const index = { indexBlocks, indexBytes, joinedMs, residentMb: residentMb(pid) };
    return { workers, promptBlocks: PROMPT_BLOCKS, ...index, decisions, events, snapshot };
  } finally {
    for (const worker of fleet) worker.leave();
    await deployment.stop(1_000);
  }
}

/** workerd killed with a full index: from the workers' dumps alone, and with a snapshot. */
async function recovery() {
  const deployment = await benchDeployment();
  try {
    await deployment.startPlatform();
    const fleet = new BigFleet(deployment, Number(args.blocks));
    await fleet.join();
    const fromWorkers = await fleet.kill();
    await fleet.snapshotAfter(new Uint8Array(8).fill(7));
    const fromSnapshot = await fleet.kill();
    await fleet.leave();
    for (const [from, { answersMs, exactMs }] of Object.entries({ fromWorkers, fromSnapshot })) {
      say(`killed, ${from}: answers after ${answersMs.toFixed(0)} ms, exact after ${exactMs.toFixed(0)} ms`);
    }
    return { fromWorkers, fromSnapshot };
  } finally {
    await deployment.stop(1_000);
  }
}

const status = async (url: string) => (await (await fetch(`${url}/status`)).json()) as RouterStatus;

async function decisionFigures(url: string, workers: number, pid: number) {
  const times = { rpc: [] as number[], direct: [] as number[], none: [] as number[] };
  const cpuMs = { rpc: 0, direct: 0, none: 0 };
  const ways = ['none', 'direct', 'rpc'] as const;
  const count = Math.ceil(Number(args.decisions) / DECISION_ROUNDS / 3) * 3;
  await decide(url, { count: 1_500, way: 'rpc', workers });
  for (let round = 0; round < DECISION_ROUNDS; round++) {
    for (const way of ways) {
      const before = cpuMsOf(pid);
      times[way].push(...(await decide(url, { count, way, workers })));
      cpuMs[way] += (cpuMsOf(pid) - before) / (count * DECISION_ROUNDS);
    }
  }
  const perSecond = async (way: 'direct' | 'rpc') => {
    const startedMs = performance.now();
    await decide(url, { count: count * DECISION_ROUNDS, way, workers, concurrency: CONCURRENT });
    return (count * DECISION_ROUNDS) / ((performance.now() - startedMs) / 1_000);
  };
  const request = { ...percentiles(times.none), cpuMs: cpuMs.none };
  const net = (values: number[]): Percentiles => {
    const { p50Ms, p90Ms, p99Ms } = percentiles(values);
    return { p50Ms: p50Ms - request.p50Ms, p90Ms: p90Ms - request.p50Ms, p99Ms: p99Ms - request.p50Ms };
  };
  const figures = async (way: 'direct' | 'rpc') => {
    const byKind = Object.fromEntries(
      PROMPT_KINDS.map((kind, k) => [kind, net(times[way].filter((_, i) => i % 3 === k))]),
    );
    const all = { ...net(times[way]), cpuMs: cpuMs[way] - cpuMs.none, perSecond: await perSecond(way) };
    say(
      `decision, ${way}: ${inWords(all)}; CPU ${all.cpuMs.toFixed(3)} ms; ${all.perSecond.toFixed(0)}/s with the request`,
    );
    for (const [kind, one] of Object.entries(byKind)) say(`  ${kind}: ${inWords(one)}`);
    return { ...all, byKind };
  };
  say(`a request without a decision, taken off: ${inWords(request)}; CPU ${request.cpuMs.toFixed(3)} ms`);
  return { direct: await figures('direct'), rpc: await figures('rpc'), request };
}

const inWords = ({ p50Ms, p99Ms }: Percentiles) => `p50 ${p50Ms.toFixed(3)} ms, p99 ${p99Ms.toFixed(3)} ms`;

function cpuMsOf(pid: number): number {
  const { user, system } = cpuOf(pid);
  return (user + system) * 1_000;
}

/** Decisions while snapshots are written and while none is, in turn. */
async function snapshotFigures(url: string, workers: number, fleet: BenchWorker[]) {
  const during: number[] = [];
  const without: number[] = [];
  const writtenBefore = await written(url);
  const count = Math.ceil(Number(args.decisions) / SNAPSHOT_ROUNDS);
  const times = () => decide(url, { count, way: 'rpc', workers });
  for (let round = 0; round < SNAPSHOT_ROUNDS; round++) {
    without.push(...(await times()));
    const start = await written(url);
    for (const worker of fleet.slice(0, SNAPSHOT_RANKS))
      worker.send(worker.events([new Uint8Array(8).fill(round + 1)]));
    await until(async () => (await written(url)) > start);
    during.push(...(await times()));
    await until(async () => (await written(url)) >= start + Math.min(SNAPSHOT_RANKS, workers));
  }
  const ranks = (await written(url)) - writtenBefore;
  const result = { during: percentiles(during), without: percentiles(without), ranks };
  const ratio = result.during.p99Ms / result.without.p99Ms;
  say(
    `snapshot: p99 ${result.during.p99Ms.toFixed(3)} / ${result.without.p99Ms.toFixed(3)} ms = ${ratio.toFixed(2)}; ${ranks} ranks`,
  );
  return { ...result, p99Ratio: ratio };
}

async function written(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/kv_snapshots_total\{what="written"\} (\d+)/.exec(text)?.[1] ?? 0);
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 50));
}

async function eventFigures(fleet: BenchWorker[], pid: number) {
  const senders = fleet.slice(0, EVENT_WORKERS);
  const perFrame = EVENTS_PER_FRAME * EVENT_BLOCKS;
  const frames = Math.ceil(Number(args.events) / senders.length / perFrame);
  const encoded = senders.map((worker) =>
    Array.from({ length: frames }, () =>
      worker.events(
        Array.from({ length: EVENTS_PER_FRAME }, () =>
          crypto.getRandomValues(new Uint8Array(EVENT_BLOCKS * 8)),
        ),
      ),
    ),
  );
  const before = cpuOf(pid);
  const startedMs = performance.now();
  for (let i = 0; i < frames; i++) {
    for (const [k, worker] of senders.entries()) worker.send(encoded[k]![i]!);
    if (i % 16 === 15) await Promise.all(senders.map((worker) => worker.settled()));
  }
  await Promise.all(senders.map((worker) => worker.settled()));
  const seconds = (performance.now() - startedMs) / 1_000;
  const after = cpuOf(pid);
  const blocks = frames * perFrame * senders.length;
  const cpuS = after.user + after.system - before.user - before.system;
  say(
    `events: ${(blocks / seconds).toFixed(0)} blocks/s, ${((cpuS / blocks) * 1e9).toFixed(0)} ns of CPU a block`,
  );
  return {
    blocks,
    blocksPerEvent: EVENT_BLOCKS,
    blocksPerS: blocks / seconds,
    cpuNsPerBlock: (cpuS / blocks) * 1e9,
  };
}

if (args.help) console.log(HELP);
else await main();
