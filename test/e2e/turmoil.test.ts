/**
 * What happens to fleets: crowds of clients that vanish, a worker that stands still longer than its lease, sockets that
 * break under running requests, a worker that is asked to go. Afterwards nothing is in flight anywhere, and the router's
 * index of every worker is what the worker has.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { randomSource } from '../bench/prompts.ts';
import { cachedBlocksOf } from '../harness/cached-blocks.ts';
import {
  eventually,
  idle,
  metric,
  plan,
  sidecarOf,
  statusOf,
  workersServing,
} from '../harness/deployment.ts';
import { FaultyLine } from '../harness/faulty-line.ts';
import { chat, collect } from '../harness/sse.ts';

const SEED = Number(process.env['STATOR_SEED'] ?? Date.now() % 1_000_000);
const CLIENTS = 200;
/** Short enough to wait for, long enough for a busy machine. */
const LEASE_MS = 4_000;
const MODEL = 'mock';

let deployment: Deployment;
const lines: FaultyLine[] = [];
beforeAll(async () => {
  deployment = await plan({ engine: 'mock', mockDecodeMs: 20, leaseMs: LEASE_MS, logLevel: 'error' });
  await deployment.startPlatform();
  for (let worker = 0; worker < 3; worker++) {
    const line = await FaultyLine.open(deployment.url, () => null);
    lines.push(line);
    deployment.addSidecar({}, { STATOR_PLATFORM_URL: line.url });
  }
  await workersServing(deployment, 3);
  await deployment.ready();
}, 60_000);

afterAll(async () => {
  await deployment.stop(2_000);
  await Promise.all(lines.map((line) => line[Symbol.asyncDispose]()));
}, 30_000);

const ask = (words: string, change: Record<string, unknown> = {}, init: RequestInit = {}) =>
  chat(
    deployment.url,
    { model: MODEL, messages: [{ role: 'user', content: words }], max_tokens: 40, stream: true, ...change },
    init,
  );

/** Nothing in flight in router, engines and functions; every worker's index is what the worker has. */
async function settled(workers = 3): Promise<void> {
  await workersServing(deployment, workers);
  await idle(deployment, 15_000);
  const inFlight = () => metric(deployment, /frontend_inflight_requests/);
  await eventually('no request in the functions', async () => ((await inFlight()) === 0 ? true : null));
  for (const { grpcAddress, instanceId } of (await statusOf(deployment)).workers) {
    await eventually(`the index of ${instanceId} to be true`, async () => {
      const { workers } = await statusOf(deployment);
      const known = workers.find((worker) => worker.instanceId === instanceId)?.cachedBlocks;
      return known === (await cachedBlocksOf(grpcAddress, deployment.settings.fleetToken)) ? true : null;
    });
  }
}

test(`${CLIENTS} clients that vanish at random moments leave nothing (seed ${SEED})`, async () => {
  const random = randomSource(SEED);
  const migrated = await metric(deployment, /model_migration_total/);
  const leave = async (client: number) => {
    const gone = new AbortController();
    const timer = setTimeout(() => gone.abort(), random() * 1_500);
    const words = `${'a shared beginning '.repeat(client % 20)}${client}`;
    const change = { stream: client % 3 !== 0, max_tokens: 400, ignore_eos: true };
    try {
      await (await ask(words, change, { signal: gone.signal })).text();
    } catch {
      // Gone, as it should be.
    } finally {
      clearTimeout(timer);
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, (_, client) => leave(client)));
  await settled();
  expect(await metric(deployment, /model_migration_total/)).toBe(migrated);
});

test('fleet sockets that break under running requests change nothing for anyone', async () => {
  const running = Array.from({ length: 12 }, (_, index) =>
    ask(`question ${index}`).then((response) => collect(response)),
  );
  await eventually('requests in flight', async () =>
    (await statusOf(deployment)).inFlight >= 12 ? true : null,
  );
  for (const line of lines) line.breakFleet();
  await workersServing(deployment, 3);
  for (const line of lines) line.breakFleet();
  for (const answer of await Promise.all(running)) expect(answer).toMatchObject({ done: true, roles: 1 });
  await settled();
});

test('a worker that stands still longer than its lease is dropped, and comes back as it is', async () => {
  const first = await ask('who are you?', { max_tokens: 200 });
  const { pid } = sidecarOf(deployment, first.headers.get('x-stator-worker') as string);
  const answer = collect(first);
  process.kill(pid, 'SIGSTOP');
  try {
    await eventually('the worker to be dropped', async () =>
      (await statusOf(deployment)).workers.length === 2 ? true : null,
    );
    expect((await statusOf(deployment)).inFlight).toBe(0);
    const others = await Promise.all(
      [1, 2, 3, 4].map((n) => ask(`and now ${n}?`).then((response) => collect(response))),
    );
    expect(others.every(({ done }) => done)).toBe(true);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  expect(await answer).toMatchObject({ done: true, roles: 1, finishReason: 'length' });
  await settled();
});

test('a worker that is asked to go finishes its streams while new requests go elsewhere', async () => {
  const first = await ask('tell me all', { max_tokens: 100 });
  const worker = first.headers.get('x-stator-worker') as string;
  const migrated = await metric(deployment, /model_migration_total/);
  process.kill(sidecarOf(deployment, worker).pid, 'SIGTERM');
  const answer = collect(first);
  await eventually('the worker to drain', async () =>
    (await statusOf(deployment)).workers.some(({ phase }) => phase === 'draining') ? true : null,
  );
  const others = await Promise.all([1, 2, 3, 4].map((n) => ask(`tell me all ${n}`)));
  expect(others.map(({ headers }) => headers.get('x-stator-worker'))).not.toContain(worker);
  await Promise.all(others.map((response) => collect(response)));
  expect(await answer).toMatchObject({ done: true, roles: 1, chunks: 100 });
  expect(await metric(deployment, /model_migration_total/)).toBe(migrated);
  await settled();
});

test('workers that all die are an error at once; the first that is back serves', async () => {
  const running = await ask('what now?', { max_tokens: 400 });
  for (const { pid } of deployment.sidecars) process.kill(pid as number, 'SIGKILL');
  await expect(collect(running)).rejects.toThrow('error event');
  const refused = await ask('anybody?');
  expect([200, 503]).toContain(refused.status);
  await refused.text();
  const served = await eventually('an answer', async () => {
    const response = await ask('anybody?');
    if (response.status === 200) return response;
    await response.text();
    return null;
  });
  expect(await collect(served)).toMatchObject({ done: true, roles: 1 });
  await settled();
});
