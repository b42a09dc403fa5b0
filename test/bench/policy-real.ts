/**
 * `bench:policy --real`: two deployments side by side, each a workerd and mock sidecars as users run them, one with Stator's
 * rule and one with Dynamo's. Both get the same requests of Mooncake's synthetic trace at the same moments, as prompts of
 * token ids, streamed; so what the machine does to one it does to the other. Engines run faster than the router believes
 * at first (`engineSpeedup`), arrivals likewise; times are given back in the engines' own milliseconds.
 */

import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { createDeployment, type Deployment } from '../../cli/launch/deployment.ts';
import { waitFor } from '../../cli/launch/platform-client.ts';
import { freePort } from '../../cli/launch/ports.ts';
import { PROJECT_ROOT } from '../../cli/paths.ts';
import { distributionOf } from '../../cli/replay/statistics.ts';
import { readTrace, TRACE_BLOCK_TOKENS, type TraceRequest } from '../../cli/replay/trace.ts';
import { resolveSettings } from '../../durable/runtime/config.ts';
import { versions } from './versions.ts';

/** With blocks of 128 tokens the mock engine's 16,384 blocks are 4,096 of the trace's. */
const BLOCK_TOKENS = 128;
const WORKERS = 4;
/** Of the synthetic trace's own arrivals, beside the engines' speedup. */
const ARRIVALS = 2;
const CONTEXT_TOKENS = 131_072;
const READY_MS = 60_000;
const MODEL = 'mock';

export interface RealOptions {
  json: boolean;
  requests: number;
  engineSpeedup: number;
  /** Of Stator's. */
  hold: number | 'off';
}

interface Times {
  ttft: number[];
  e2e: number[];
  failed: number;
}

const POLICIES = ['dynamo', 'stator'] as const;

export async function compareInRealTime(options: RealOptions): Promise<void> {
  const { requests, engineSpeedup, hold } = options;
  const trace = readTrace(join(PROJECT_ROOT, 'test', 'fixtures', 'traces', 'synthetic_trace.jsonl'));
  const cut = trace.requests
    .slice(0, requests)
    .filter(({ inputTokens, outputTokens }) => inputTokens + outputTokens < CONTEXT_TOKENS);
  const deployments: Deployment[] = [];
  try {
    for (const routerPolicy of POLICIES) deployments.push(await start(routerPolicy, engineSpeedup, hold));
    const times = POLICIES.map((): Times => ({ ttft: [], e2e: [], failed: 0 }));
    await send(cut, deployments, times, engineSpeedup * ARRIVALS);
    report(times, { ...options, requests: cut.length });
  } finally {
    await Promise.all(deployments.map((deployment) => deployment.stop(2_000)));
  }
}

async function start(
  routerPolicy: (typeof POLICIES)[number],
  engineSpeedup: number,
  routerQueueWaitMs: number | 'off',
): Promise<Deployment> {
  const deployment = await createDeployment({
    ...resolveSettings([]),
    port: await freePort(),
    engine: 'mock',
    modelName: MODEL,
    workers: WORKERS,
    blockSize: BLOCK_TOKENS,
    context: CONTEXT_TOKENS,
    engineSpeedup,
    routerPolicy,
    routerQueueWaitMs,
    logLevel: 'error',
  });
  await deployment.start();
  const serving = async () => {
    const status = (await (await fetch(`${deployment.url}/stator/v1/status`)).json()) as {
      workers: unknown[];
    };
    return status.workers.length === WORKERS ? true : null;
  };
  const timeout = () => new Error(`not all of ${WORKERS} workers serve after ${READY_MS} ms`);
  await waitFor(serving, { timeoutMs: READY_MS, everyMs: 50, timeout });
  return deployment;
}

/** Every request to every deployment at its time; resolves when all are answered. */
async function send(
  requests: readonly TraceRequest[],
  deployments: readonly Deployment[],
  times: readonly Times[],
  speedup: number,
): Promise<void> {
  const startMs = performance.now() - requests[0]!.atMs / speedup;
  const open: Promise<void>[] = [];
  for (const [at, request] of requests.entries()) {
    const waitMs = startMs + request.atMs / speedup - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    const { outputTokens: max_tokens } = request;
    const body = JSON.stringify({ model: MODEL, prompt: promptOf(request), max_tokens, stream: true });
    // Each in turn is asked first.
    for (let i = 0; i < deployments.length; i++) {
      const which = (i + at) % deployments.length;
      open.push(ask(deployments[which]!.url, body, times[which]!));
    }
    if (at % 50 === 0) process.stderr.write(`\r  ${at}/${requests.length}`);
  }
  await Promise.all(open);
  process.stderr.write('\r');
}

/** Equal hash ids are equal tokens, different ones differ in the first two. */
function promptOf({ inputTokens, hashIds }: TraceRequest): number[] {
  return Array.from({ length: inputTokens }, (_, at) => {
    const id = hashIds[Math.floor(at / TRACE_BLOCK_TOKENS)]!;
    return 300 + (at % 2 === 0 ? id % 1_000 : Math.floor(id / 1_000));
  });
}

function ask(url: string, body: string, times: Times): Promise<void> {
  const startMs = performance.now();
  return new Promise((resolve) => {
    let firstMs = 0;
    const failed = () => {
      times.failed++;
      resolve();
    };
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const sent = httpRequest(`${url}/v1/completions`, { method: 'POST', headers }, (response) => {
      response.on('error', failed);
      response.on('data', (chunk: Buffer) => {
        // Comments come while the request waits.
        if (firstMs === 0 && chunk.includes('data: {')) firstMs = performance.now();
      });
      response.on('end', () => {
        if (response.statusCode !== 200 || firstMs === 0) return failed();
        times.ttft.push(firstMs - startMs);
        times.e2e.push(performance.now() - startMs);
        resolve();
      });
    });
    sent.on('error', failed);
    sent.end(body);
  });
}

function report(times: readonly Times[], { json, requests, engineSpeedup }: RealOptions): void {
  const scaled = (values: number[]) =>
    distributionOf(Float64Array.from(values, (value) => value * engineSpeedup));
  const [dynamo, stator] = times.map(({ ttft, e2e, failed }) => ({
    ttft_ms: scaled(ttft),
    e2e_ms: scaled(e2e),
    failed,
  })) as [Side, Side];
  const ratio = {
    ttft: stator.ttft_ms.mean / dynamo.ttft_ms.mean,
    e2e: stator.e2e_ms.mean / dynamo.e2e_ms.mean,
    p99_ttft: stator.ttft_ms.p99 / dynamo.ttft_ms.p99,
  };
  if (json) {
    const command = `npm run bench:policy -- ${process.argv.slice(2).join(' ')}`;
    const what = {
      command,
      requests,
      workers: WORKERS,
      engineSpeedup,
      date: new Date().toISOString().slice(0, 10),
    };
    console.log(JSON.stringify({ ...what, versions: versions(), dynamo, stator, ratio }, null, 1));
    return;
  }
  const say = (name: string, { ttft_ms, e2e_ms, failed }: Side) =>
    console.log(
      `${name}: TTFT ${ttft_ms.mean.toFixed(0)} ms (p99 ${ttft_ms.p99.toFixed(0)}), E2E ${e2e_ms.mean.toFixed(0)} ms, ${failed} failed`,
    );
  console.log(`${requests} requests, ${WORKERS} workers, engines ×${engineSpeedup}`);
  say('dynamo', dynamo);
  say('stator', stator);
  const [ttft, e2e, p99] = [ratio.ttft, ratio.e2e, ratio.p99_ttft].map((value) => value.toFixed(3));
  console.log(`stator ÷ dynamo: TTFT ${ttft}, E2E ${e2e}, p99 TTFT ${p99}`);
}

interface Side {
  ttft_ms: ReturnType<typeof distributionOf>;
  e2e_ms: ReturnType<typeof distributionOf>;
  failed: number;
}
