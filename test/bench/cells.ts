/**
 * One cell of the serving benchmark: a prompt length, a concurrency, short answers or paced streams, against one side
 * (Stator or the peer). The same code, text and client for both.
 */

import type { Deployment } from '../../cli/launch/deployment.ts';
import { type LoadResult, quantile, runLoad } from './http-load.ts';
import { cpuSum, hostBusySeconds, residentMb } from './process-cpu.ts';
import { randomSource, randomText } from './prompts.ts';

/** An OpenAI-compatible server under test. */
export interface Side {
  name: string;
  host: string;
  port: number;
  model: string;
  /** The process that answers HTTP: its CPU is what we compare. */
  frontendPids: number[];
  workerPids: number[];
}

export function sideOf(deployment: Deployment): Side {
  return {
    name: 'stator',
    host: '127.0.0.1',
    port: deployment.settings.port,
    model: 'tiny',
    frontendPids: [deployment.platform.pid as number],
    workerPids: deployment.sidecars.map(({ pid }) => pid as number),
  };
}

export interface CellPlan {
  promptTokens: number;
  concurrency: number;
  maxTokens: number;
  stream: boolean;
  seconds: number;
}

export interface CellResult {
  prompt_tokens: number;
  concurrency: number;
  max_tokens: number;
  stream: boolean;
  requests: number;
  failed: number;
  req_per_s: number;
  p50_ms: number;
  p99_ms: number;
  ttft_p50_ms: number;
  frontend_cpu_ms_per_request: number;
  frontend_user_share: number;
  frontend_cpu_us_per_token: number | null;
  worker_cpu_ms_per_request: number;
  client_cpu_ms_per_request: number;
  /** CPU seconds of everything else on the host during the cell, divided by its wall time. */
  other_cores: number;
  rss_mb: number;
}

const WARM_SECONDS = 2;

const round = (value: number, digits = 4) => Number(value.toFixed(digits));

/** How many words make a prompt of `promptTokens`, found by asking: answers say `usage.prompt_tokens`. */
export async function calibrate(side: Side, words: readonly string[], promptTokens: number): Promise<number> {
  const random = randomSource(1);
  let count = Math.max(1, promptTokens - 10);
  for (let round = 0; round < 4; round++) {
    const result = await load(
      side,
      { promptTokens, concurrency: 1, maxTokens: 1, stream: false, seconds: 0 },
      1,
      () => randomText(words, count, random),
    );
    if (result.ok !== 1) throw new Error(`${side.name} refuses a calibration prompt: ${result.errors[0]}`);
    const { usage } = JSON.parse(result.lastBody) as { usage: { prompt_tokens: number } };
    if (usage.prompt_tokens === promptTokens) return count;
    count = Math.max(1, count + promptTokens - usage.prompt_tokens);
  }
  return count;
}

function load(side: Side, plan: CellPlan, requests: number, text: () => string): Promise<LoadResult> {
  const tail =
    `"}],"max_tokens":${plan.maxTokens},"temperature":0,"ignore_eos":true` +
    (plan.stream ? ',"stream":true,"stream_options":{"include_usage":true}}' : '}');
  return runLoad({
    host: side.host,
    port: side.port,
    path: '/v1/chat/completions',
    concurrency: plan.concurrency,
    requests,
    headers: {},
    countEvents: plan.stream,
    body: () => `{"model":"${side.model}","messages":[{"role":"user","content":"${text()}${tail}`,
  });
}

/** Warms up, chooses the number of requests for `plan.seconds`, measures. `count`: words of a prompt, where known. */
export async function runCell(
  side: Side,
  plan: CellPlan,
  words: readonly string[],
  seed: number,
  count?: number,
): Promise<CellResult> {
  count ??= await calibrate(side, words, plan.promptTokens);
  const random = randomSource(seed);
  const length = count;
  const text = () => randomText(words, length, random);
  const requestsFor = (rate: number, seconds: number) =>
    Math.max(plan.concurrency * 2, Math.min(200_000, Math.ceil(rate * seconds * 1000)));
  const probe = await load(side, plan, plan.concurrency * 2, text);
  // Long enough for the compilers of both sides to have seen the hot path.
  const warm = await load(side, plan, requestsFor(probe.ok / probe.wallMs, WARM_SECONDS), text);
  const requests = requestsFor(warm.ok / warm.wallMs, plan.seconds);

  const before = {
    frontend: cpuSum(side.frontendPids),
    workers: cpuSum(side.workerPids),
    client: process.cpuUsage(),
    host: hostBusySeconds(),
  };
  const result = await load(side, plan, requests, text);
  const frontend = cpuSum(side.frontendPids);
  const workers = cpuSum(side.workerPids);
  const client = process.cpuUsage(before.client);
  const user = frontend.user - before.frontend.user;
  const cpu = user + frontend.system - before.frontend.system;
  const workerCpu = workers.user + workers.system - before.workers.user - before.workers.system;
  const clientCpu = (client.user + client.system) / 1e6;
  const other = hostBusySeconds() - before.host - cpu - workerCpu - clientCpu;
  if (result.failed > 0) process.stderr.write(`${side.name}: ${result.failed} failed: ${result.errors[0]}\n`);
  return {
    prompt_tokens: plan.promptTokens,
    concurrency: plan.concurrency,
    max_tokens: plan.maxTokens,
    stream: plan.stream,
    requests,
    failed: result.failed,
    req_per_s: round((result.ok / result.wallMs) * 1000, 1),
    p50_ms: round(quantile(result.latenciesMs, 0.5), 2),
    p99_ms: round(quantile(result.latenciesMs, 0.99), 2),
    ttft_p50_ms: round(quantile(result.firstByteMs, 0.5), 2),
    frontend_cpu_ms_per_request: round((cpu * 1000) / result.ok),
    frontend_user_share: round(user / cpu, 2),
    frontend_cpu_us_per_token: plan.stream ? round((cpu * 1e6) / (result.ok * plan.maxTokens), 2) : null,
    worker_cpu_ms_per_request: round((workerCpu * 1000) / result.ok),
    client_cpu_ms_per_request: round((clientCpu * 1000) / result.ok),
    other_cores: round((other * 1000) / result.wallMs, 2),
    rss_mb: round(Math.max(...side.frontendPids.map(residentMb)), 1),
  };
}
