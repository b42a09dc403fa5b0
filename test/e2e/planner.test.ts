/**
 * A fleet that sizes itself, with real processes: load rises, workers start, the time to the first token comes back under its
 * target; load ends, nobody is left; a request wakes one worker, however many come at once; and nothing fails on the way,
 * not where the last worker drains, and not where the platform restarts while all sleep. The mock engine takes its times
 * from its polynomial, slowed down, so that a few requests a second are load.
 */

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import type { ExecutorEvent } from '../../cli/launch/fleet-executor.ts';
import { inlinePlannerProfile } from '../../cli/planner-profile-file.ts';
import { resolveSettings } from '../../durable/runtime/config.ts';
import { randomSource } from '../bench/prompts.ts';
import { eventually, plan, statusOf } from '../harness/deployment.ts';
import { events } from '../harness/sse.ts';

/** `npm run e2e:planner` sets 2000 and 20. */
const REQUESTS = Number(process.env['STATOR_PLANNER_REQUESTS'] ?? 150);
const ROUNDS = Number(process.env['STATOR_PLANNER_ROUNDS'] ?? 1);
const SEED = Number(process.env['STATOR_SEED'] ?? Date.now() % 1_000_000);
/** More than one worker computes of such prompts. */
const PER_SECOND = 9;
const PROMPT_TOKENS = 600;
const TARGET_MS = 1_000;
/** Requests whose median says how it is now. */
const RECENT = 20;

const random = randomSource(SEED);
const orders: ExecutorEvent[] = [];
let deployment: Deployment;
let model: string;
let asked = 0;
const failures: string[] = [];

beforeAll(async () => {
  const settings = inlinePlannerProfile({
    ...resolveSettings([]),
    engine: 'mock',
    engineSpeedup: 0.1,
    mockDecodeMs: 2,
    planner: 'sla',
    plannerConnector: 'process',
    plannerPredictor: 'constant',
    plannerIntervalSecs: 1,
    plannerStartupSecs: 2,
    plannerTtftMs: TARGET_MS,
    plannerItlMs: 1_000,
    plannerMin: 0,
    plannerMax: 3,
    plannerKeepAliveMs: 1_000,
    wakeTimeoutMs: 30_000,
  });
  const { port: _, logLevel: __, ...given } = settings;
  deployment = await plan(given, { onOrder: (event) => orders.push(event) });
  [model = ''] = await deployment.start();
}, 60_000);
afterAll(() => {
  process.stdout.write(`planner e2e: ${failures.length} of ${asked} requests failed (seed ${SEED})\n`);
});

/** Tokens that nobody has cached. */
const freshPrompt = () => Array.from({ length: PROMPT_TOKENS }, () => 300 + Math.floor(random() * 700));

const post = (path: string, body: object, headers: Record<string, string> = {}) =>
  fetch(`${deployment.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ model, ...body }),
  });

/** Counts a request; its failure is told at the end and not where it happens. */
async function counted<T>(what: () => Promise<T>): Promise<T | null> {
  asked++;
  try {
    return await what();
  } catch (error) {
    failures.push(String(error));
    return null;
  }
}

/** Milliseconds until the first token of a streamed answer, which must end well. */
async function firstTokenMs(): Promise<number> {
  const startMs = performance.now();
  const response = await post('/v1/completions', { stream: true, max_tokens: 4, prompt: freshPrompt() });
  if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
  let ttftMs = Number.NaN;
  let isDone = false;
  for await (const { data } of events(response)) {
    if (data.includes('"error"')) throw new Error(data);
    if (data === '[DONE]') isDone = true;
    else if (Number.isNaN(ttftMs)) ttftMs = performance.now() - startMs;
  }
  if (!isDone) throw new Error('the stream has no end');
  return ttftMs;
}

const middle = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

const asleep = () =>
  eventually(
    'a fleet asleep',
    async () => {
      const status = await statusOf(deployment).catch(() => null);
      return status?.workers.length === 0 && status.sleeping.includes(model) ? true : null;
    },
    30_000,
  );

/** Functions have a copy of the directory that is a second old at most. */
const listedAsleep = () =>
  eventually('the model in the list as sleeping', async () => {
    const listed = await (await fetch(`${deployment.url}/v1/models/${model}`)).json();
    const { status, workers } = listed as { status: string; workers: number };
    return status === 'sleeping' && workers === 0 ? true : null;
  });

/** Ids of orders that a request gave by coming to a fleet asleep. */
async function wakes(): Promise<number[]> {
  const response = await fetch(`${deployment.url}/planner/v1/default/decisions?limit=100`);
  const { decisions } = (await response.json()) as { decisions: { id: number; kind: string }[] };
  return decisions.filter(({ kind }) => kind === 'wake').map(({ id }) => id);
}

test(`load rises and workers come until the first token is in time again; it ends and all go`, async () => {
  const begun: Promise<void>[] = [];
  /** In the order in which they came. */
  const ttfts: number[] = [];
  const lastMs = () => middle(ttfts.slice(-RECENT));
  const startMs = performance.now();
  let mostWorkers = 0;
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const due = Math.floor(((performance.now() - startMs) * PER_SECOND) / 1_000);
      while (begun.length < due) {
        begun.push(counted(firstTokenMs).then((ttftMs) => void (ttftMs !== null && ttfts.push(ttftMs))));
      }
      mostWorkers = Math.max(mostWorkers, deployment.workersOf('aggregated').length);
      // A busy machine takes its time to start a process, and the load goes on until they are there.
      const isOver = begun.length >= REQUESTS && (lastMs() < TARGET_MS || begun.length >= 4 * REQUESTS);
      if (!isOver) return;
      clearInterval(timer);
      resolve();
    }, 10);
  });
  await Promise.all(begun);
  const slowestMs = Math.max(...ttfts);
  process.stdout.write(
    `planner e2e: ${begun.length} requests, ${mostWorkers} workers at most; TTFT median of the first ${RECENT} ` +
      `${middle(ttfts.slice(0, RECENT)).toFixed(0)} ms, slowest ${slowestMs.toFixed(0)} ms, median of the last ` +
      `${RECENT} ${lastMs().toFixed(0)} ms, target ${TARGET_MS} ms\n`,
  );
  expect(failures).toEqual([]);
  expect(mostWorkers).toBeGreaterThan(1);
  expect(slowestMs).toBeGreaterThan(TARGET_MS);
  expect(lastMs()).toBeLessThan(TARGET_MS);
  await asleep();
  expect(deployment.workersOf('aggregated')).toEqual([]);
  await listedAsleep();
}, 1_200_000);

test('many requests in every dialect wake one worker', async () => {
  await asleep();
  const before = await wakes();
  const prompt = [{ role: 'user', content: 'hello' }];
  const short = { max_tokens: 4 };
  const paths: [string, object, Record<string, string>?][] = [
    ['/v1/chat/completions', { ...short, messages: prompt }],
    ['/v1/completions', { ...short, prompt: 'hello' }],
    ['/v1/messages', { ...short, messages: prompt }, { 'anthropic-version': '2023-06-01' }],
    ['/v1/responses', { max_output_tokens: 16, input: 'hello' }],
  ];
  const begun = performance.now();
  const ttfts = Array.from({ length: 4 }, () => counted(firstTokenMs));
  const asks = paths.flatMap(([path, body, headers]) =>
    [false, true].map((stream) => ({ path, body: { ...body, stream }, headers })),
  );
  const answers = [{ path: '/v1/embeddings', body: { input: 'hello' }, headers: {} }, ...asks].map(
    ({ path, body, headers }) =>
      counted(async () => {
        const response = await post(path, body, headers);
        const text = await response.text();
        if (response.status !== 200 || text.includes('"error":{')) throw new Error(`${path}: ${text}`);
      }),
  );
  const wokenMs = Math.min(...(await Promise.all(ttfts)).map((ttftMs) => ttftMs ?? Infinity));
  await Promise.all(answers);
  process.stdout.write(
    `planner e2e: ${ttfts.length + answers.length} requests woke a worker; first token after ${wokenMs.toFixed(0)} ms, ` +
      `all answered after ${(performance.now() - begun).toFixed(0)} ms\n`,
  );
  expect(failures).toEqual([]);
  const [woke, ...others] = (await wakes()).filter((id) => !before.includes(id));
  expect(others).toEqual([]);
  // More may follow, where so many at once are load.
  expect(orders.find((event) => event.event === 'order' && event.id === woke)).toMatchObject({
    counts: { worker: 1 },
    starts: 1,
    stops: 0,
  });
});

test('requests that come while the last worker drains are served by the next one', async () => {
  for (let round = 0; round < ROUNDS; round++) {
    // From a fleet that is awake.
    await counted(firstTokenMs);
    const before = orders.length;
    await eventually('the order to sleep', async () =>
      orders.slice(before).some((event) => event.event === 'order' && event.stops > 0) ? true : null,
    );
    // Its worker has been told to end in this very moment, and the router knows nothing of it.
    await Promise.all(Array.from({ length: 3 }, () => counted(firstTokenMs)));
    expect(failures).toEqual([]);
  }
}, 1_200_000);

test('a platform that restarts while all sleep still knows the model, and wakes it', async () => {
  await asleep();
  const pid = deployment.platform.pid!;
  process.kill(pid, 'SIGKILL');
  await eventually('another platform process', async () => {
    if (deployment.platform.pid === null || deployment.platform.pid === pid) return null;
    return (await fetch(`${deployment.url}/live`).catch(() => null))?.ok ? true : null;
  });
  expect((await statusOf(deployment)).sleeping).toEqual([model]);
  await counted(firstTokenMs);
  expect(failures).toEqual([]);
});

test('a worker that cannot start is why a request is refused, and the next one tries again', async () => {
  await asleep();
  const settings = deployment.settings as { tokenizer: string };
  settings.tokenizer = '/nowhere/tokenizer.json';
  const refused = await post('/v1/messages', {
    max_tokens: 4,
    messages: [{ role: 'user', content: 'hello' }],
  });
  expect(refused.status).toBe(503);
  const body = (await refused.json()) as { type: string; error: { type: string; message: string } };
  expect(body).toMatchObject({ type: 'error', error: { type: 'api_error' } });
  expect(body.error.message).toContain('/nowhere/tokenizer.json');
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
  settings.tokenizer = '';
  await eventually('a worker after the rest', async () => {
    const again = await post('/v1/completions', { prompt: 'hello', max_tokens: 4 });
    await again.text();
    return again.status === 200 ? true : null;
  });
});
