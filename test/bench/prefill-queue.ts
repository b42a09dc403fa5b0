/**
 * What the prefill queue costs the platform process: CPU per job and how long others wait meanwhile, where jobs are taken at once
 * (nothing is written), and where they pile up (each is written, then deleted). Jobs of 4,096 tokens at a steady rate.
 *
 * `node cli/main.ts bench prefill-queue [--rate 200] [--seconds 5] [--json]`
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { buildBundle } from '../../cli/launch/bundle.ts';
import { Deployment, workerdLauncher } from '../../cli/launch/deployment.ts';
import { freePort } from '../../cli/launch/ports.ts';
import { resolveSettings } from '../../durable/runtime/config.ts';
import { HttpQueueClient } from '../../gpu-sidecar/disagg/queue-client.ts';
import { ReportKind } from '../../gpu-sidecar/proto/gen/stator/v1/prefill_queue_pb.js';
import { cpuSum } from './process-cpu.ts';

const WORKERS = 4;
const MODEL = 'm';
/** 4,096 tokens and 256 hashes. */
const WORK = new Uint8Array(4 * 4096 + 8 * 256 + 32);

const { values: options } = parseArgs({
  options: {
    rate: { type: 'string', default: '200' },
    seconds: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false },
  },
});
const rate = Number(options.rate);
const seconds = Number(options.seconds);

interface Phase {
  name: string;
  jobs: number;
  /** Of workerd, all threads. */
  cpuUsPerJob: number;
  writesPerJob: number;
  /** Of `GET /live`, asked every 5 ms meanwhile. */
  liveP50Ms: number;
  liveP99Ms: number;
  liveMostMs: number;
  /** From before `enqueue` to a worker having the job; null where nobody takes. */
  handoffP50Ms: number | null;
  handoffP99Ms: number | null;
}

const settings = { ...resolveSettings([]), port: await freePort(), logLevel: 'error' as const };
const deployment = new Deployment(settings, workerdLauncher(await buildBundle()));
await deployment.startPlatform();
const { url } = deployment;
const queue = new HttpQueueClient({
  platformUrl: () => url,
  namespace: settings.namespace,
  fleetToken: deployment.settings.fleetToken,
  callMs: 10_000,
});
let sent = 0;
const sentMs = new Map<string, number>();
const handoffs: number[] = [];

try {
  await paced(100, enqueue);
  await takeAll();
  const phases = [
    await phase('nothing', rate * seconds, async () => await sleep(seconds * 1000)),
    await phase('taken at once', rate * seconds, async () => {
      const end = new AbortController();
      const workers = Array.from({ length: WORKERS }, (_, i) => work(i, end.signal));
      await paced(rate * seconds, enqueue);
      await sleep(200);
      end.abort();
      await Promise.all(workers);
    }),
    await phase('piling up', rate * seconds, async () => {
      await paced(rate * seconds, enqueue);
      await sleep(500);
    }),
    await phase('taken from the pile', rate * seconds, takeAll),
  ];
  if (options.json) process.stdout.write(`${JSON.stringify({ rate, seconds, phases }, null, 2)}\n`);
  else for (const one of phases) process.stdout.write(`${JSON.stringify(one)}\n`);
} finally {
  await deployment.stop();
}

async function enqueue(): Promise<void> {
  const requestId = `r${++sent}`;
  sentMs.set(requestId, performance.now());
  const job = { requestId, producer: '00000000000000d1', model: MODEL, timeoutMs: 60_000, work: WORK };
  await queue.enqueue(job);
}

/** Takes jobs and completes them, until it is to end. */
async function work(index: number, end: AbortSignal): Promise<void> {
  while (!end.aborted) await take(index, 100);
}

async function take(index: number, waitMs: number): Promise<number> {
  const worker = `${index}`.padStart(16, '0');
  const { jobs } = await queue.lease({ worker, grpcAddress: 'x:1', model: MODEL, most: 4, waitMs });
  const nowMs = performance.now();
  for (const { requestId } of jobs) handoffs.push(nowMs - (sentMs.get(requestId) ?? nowMs));
  if (jobs.length === 0) return 0;
  await queue.report(jobs.map(({ lease }) => ({ lease, kind: ReportKind.BEGIN })));
  await queue.report(jobs.map(({ lease }) => ({ lease, kind: ReportKind.COMPLETE })));
  return jobs.length;
}

async function takeAll(): Promise<void> {
  while ((await take(0, 0)) > 0);
}

/** Starts so many at the rate, whatever each takes. */
async function paced(count: number, run: () => Promise<void>): Promise<void> {
  const startMs = performance.now();
  const running: Promise<void>[] = [];
  for (let i = 0; i < count; i++) {
    const aheadMs = startMs + (i * 1000) / rate - performance.now();
    if (aheadMs > 1) await sleep(aheadMs);
    running.push(run());
  }
  await Promise.all(running);
}

async function phase(name: string, jobs: number, run: () => Promise<void>): Promise<Phase> {
  const pids = [deployment.platform.pid as number];
  const end = new AbortController();
  const probing = probe(end.signal);
  handoffs.length = 0;
  const before = { cpu: cpuSum(pids), written: await written() };
  await run();
  const cpu = cpuSum(pids);
  const rows = (await written()) - before.written;
  end.abort();
  const live = await probing;
  const cpuS = cpu.user + cpu.system - before.cpu.user - before.cpu.system;
  return {
    name,
    jobs,
    cpuUsPerJob: Math.round((cpuS * 1e6) / jobs),
    writesPerJob: rows / jobs,
    liveP50Ms: quantile(live, 0.5)!,
    liveP99Ms: quantile(live, 0.99)!,
    liveMostMs: quantile(live, 1)!,
    handoffP50Ms: quantile(handoffs, 0.5),
    handoffP99Ms: quantile(handoffs, 0.99),
  };
}

async function probe(end: AbortSignal): Promise<number[]> {
  const times: number[] = [];
  while (!end.aborted) {
    const startMs = performance.now();
    await (await fetch(`${url}/live`)).arrayBuffer();
    times.push(performance.now() - startMs);
    await sleep(5);
  }
  return times;
}

async function written(): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/prefill_queue_written_total\{[^}]*\} (\d+)/.exec(text)?.[1] ?? 0);
}

function quantile(values: readonly number[], share: number): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  return value === undefined ? null : Number(value.toFixed(2));
}
