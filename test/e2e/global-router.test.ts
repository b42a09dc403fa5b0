/**
 * One model name, three namespaces, real processes: the grid, the loss of a whole pool with priority retry, fairness in the
 * pool that takes over, and a document that is replaced while requests run.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { PROJECT_ROOT } from '../../cli/paths.ts';
import type { RouterStatus } from '../../durable/router/rpc.ts';
import type { PoolInfo } from '../../functions/operations/pool-info.ts';
import {
  GetPoolInfoRequestSchema,
  GetPoolInfoResponseSchema,
} from '../../gpu-sidecar/proto/gen/stator/v1/router_pb.js';
import { deploy, eventually, metric } from '../harness/deployment.ts';

const POOLS = ['fast', 'middle', 'slow'] as const;
type Pool = (typeof POOLS)[number];

/** ITL targets up to 30, 60 and 90 ms. */
const document = (change: object = {}) => ({
  mode: 'agg',
  num_agg_pools: 3,
  agg_pool_dynamo_namespaces: POOLS,
  enable_priority_retry: true,
  agg_pool_selection_strategy: {
    ttft_min_ms: 0,
    ttft_max_ms: 1_000,
    ttft_resolution: 1,
    itl_min_ms: 0,
    itl_max_ms: 90,
    itl_resolution: 3,
    agg_pool_mapping: [[0, 1, 2]],
    priority_overrides: [{ min_priority: 100, max_priority: 200, target_pool: 0 }],
  },
  model_name: 'mock',
  ...change,
});

const classOf = (family: string, quantum: number) => ({
  name: `${family}-any`,
  policy_family: family,
  cache_bucket: 'any',
  quantum,
  prefill_busy_threshold: 0,
});

let deployment: Deployment;

beforeAll(async () => {
  deployment = await deploy({
    engine: 'mock',
    namespace: 'fast',
    leaseMs: 60_000,
    logLevel: 'error',
    globalRouter: JSON.stringify(document()),
    routerQueuePolicy: JSON.stringify({
      default_policy_family: 'bronze',
      uncached_isl_buckets: [{ min_tokens: 0, bucket: 'any' }],
      policy_classes: [classOf('gold', 400), classOf('bronze', 100)],
    }),
  });
  deployment.addSidecar({ namespace: 'middle' });
  deployment.addSidecar({ namespace: 'slow' });
  await eventually(
    'a worker in every pool',
    async () => {
      const { pools } = await poolInfo();
      return pools.every(({ live_workers }) => live_workers === 1) ? true : null;
    },
    60_000,
  );
}, 90_000);

const poolInfo = async () => (await (await fetch(`${deployment.url}/get_pool_info`)).json()) as PoolInfo;
const poolNamed = async (name: Pool) => (await poolInfo()).pools.find(({ pool }) => pool === name)!;
const statusOf = async (pool: Pool) =>
  (await (await fetch(`${deployment.url}/stator/v1/status?namespace=${pool}`)).json()) as RouterStatus;
const put = (body: object) =>
  fetch(`${deployment.url}/global_router`, { method: 'PUT', body: JSON.stringify(body) });

/** The process of a pool's one worker. */
const sidecarOf = (pool: Pool) => deployment.sidecars[POOLS.indexOf(pool)]!;

let prompts = 0;

interface Ask {
  itlTarget?: number;
  priority?: number;
  family?: string;
  tokens?: number;
  maxTokens?: number;
  stream?: boolean;
}

function ask({ itlTarget, priority, family, tokens = 20, maxTokens = 1, stream = false }: Ask = {}) {
  prompts++;
  const prompt = Array.from(
    { length: tokens },
    (_, at) => (at === 0 ? prompts : (at * 7 + prompts) % 1000) + 1,
  );
  const nvext = {
    ...(itlTarget === undefined ? {} : { router: { itl_target: itlTarget } }),
    ...(priority === undefined ? {} : { agent_hints: { priority } }),
  };
  return fetch(`${deployment.url}/v1/completions`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(family === undefined ? {} : { 'x-dynamo-meta-policy-class': family }),
    },
    body: JSON.stringify({ model: 'mock', prompt, max_tokens: maxTokens, stream, nvext }),
  });
}

async function poolOf(asked: Ask): Promise<string | null> {
  const response = await ask(asked);
  await response.text();
  expect(response.status).toBe(200);
  return response.headers.get('x-stator-pool');
}

describe('the grid', () => {
  test('sends each request to the pool of its target, and urgent ones to the fastest', async () => {
    const targets = [0, 29, 30, 59, 60, 1_000, undefined];
    const pools = await Promise.all(
      targets.map((itlTarget) => poolOf(itlTarget === undefined ? {} : { itlTarget })),
    );
    expect(pools).toEqual(['fast', 'fast', 'middle', 'middle', 'slow', 'slow', 'middle']);
    expect(await poolOf({ itlTarget: 80, priority: 150 })).toBe('fast');
    expect(await poolOf({ itlTarget: 80, priority: 99, stream: true })).toBe('slow');
    const { pools: rows, ...info } = await poolInfo();
    expect(info).toMatchObject({
      model_name: 'mock',
      agg_pools: POOLS,
      agg_pool_priorities: [0, 1, 2],
      agg_connected: POOLS,
    });
    expect(rows.map(({ selected, retried }) => [selected, retried])).toEqual([
      [3, 0],
      [3, 0],
      [3, 0],
    ]);
    expect(await metric(deployment, /global_router_requests_total\{pool="slow",why="selected"\}/)).toBe(3);
    expect(await metric(deployment, /global_router_pool_workers/)).toBe(3);
    const models = (await (await fetch(`${deployment.url}/v1/models`)).json()) as { data: object[] };
    expect(models.data).toMatchObject([{ id: 'mock', workers: 3 }]);
    const shown = execFileSync(
      process.execPath,
      [join(PROJECT_ROOT, 'cli/main.ts'), 'status', '--url', deployment.url],
      { encoding: 'utf8' },
    );
    expect(shown).toMatch(/slow +agg +2 +1 +0 +0 +3 /);
  });
});

test('GetPoolInfo on native gRPC says the same', async () => {
  const client = new Client(deployment.sidecarLines[0]!.grpc!, credentials.createInsecure());
  const asIs = (bytes: Buffer) => bytes;
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${deployment.settings.fleetToken}`);
  try {
    const bytes = await new Promise<Buffer>((resolve, reject) =>
      client.makeUnaryRequest(
        '/stator.v1.Router/GetPoolInfo',
        asIs,
        asIs,
        Buffer.from(toBinary(GetPoolInfoRequestSchema, create(GetPoolInfoRequestSchema))),
        metadata,
        (error, answer) => (error ? reject(error) : resolve(answer!)),
      ),
    );
    const { mode, modelName, pools } = fromBinary(GetPoolInfoResponseSchema, bytes);
    expect([mode, modelName]).toEqual(['agg', 'mock']);
    expect(
      pools.map(({ pool, priority, liveWorkers, selected }) => [pool, priority, liveWorkers, selected]),
    ).toEqual(
      (await poolInfo()).pools.map((row) => [row.pool, row.priority, row.live_workers, BigInt(row.selected)]),
    );
  } finally {
    client.close();
  }
});

describe('fairness', () => {
  test('holds in the pool that takes over: who came from a pool that failed waits in its class like anybody', async () => {
    // The slow pool has nobody any more; the middle one stands still while both classes line up there.
    await sidecarOf('slow').stop(10_000);
    await eventually('an empty pool', async () =>
      (await poolNamed('slow')).live_workers === 0 ? true : null,
    );
    const { pid } = sidecarOf('middle');
    process.kill(pid!, 'SIGSTOP');
    const blocking = ask({ itlTarget: 40 });
    await eventually('the worker to be busy', async () =>
      (await statusOf('middle')).workers[0]!.activePrefillTokens > 0 ? true : null,
    );
    // Gold asks the pool itself; bronze first asks the one that is gone.
    const order: string[] = [];
    const answers = [blocking.then((response) => response.text())];
    const asked = (itlTarget: number, family: string) =>
      answers.push(
        ask({ itlTarget, family, tokens: 100 }).then(async (response) => {
          expect(response.status).toBe(200);
          const text = await response.text();
          order.push(family);
          return text;
        }),
      );
    for (let index = 0; index < 30; index++) asked(80, 'bronze');
    const waiting = async () =>
      (await statusOf('middle')).queue.reduce((sum, { requests }) => sum + requests, 0);
    await eventually('bronze to wait', async () => ((await waiting()) === 30 ? true : null));
    for (let index = 0; index < 30; index++) asked(40, 'gold');
    await eventually('gold to wait', async () => ((await waiting()) === 60 ? true : null));
    process.kill(pid!, 'SIGCONT');
    await Promise.all(answers);
    // Shares of 4:1: while both waited, the first 25 answers are 20 of gold and 5 of bronze, give or take what is in one batch.
    const gold = order.slice(0, 25).filter((family) => family === 'gold').length;
    expect(gold).toBeGreaterThanOrEqual(17);
    expect(gold).toBeLessThanOrEqual(23);
    const { retried, selected } = await poolNamed('middle');
    expect([retried, selected]).toEqual([30, 34]);
    const { failures } = await poolNamed('slow');
    expect(failures).toEqual({ no_workers: 30 });
  }, 60_000);
});

describe('a pool that is killed', () => {
  test('with requests in it: those that had no token yet go to the faster pool, a stream under way ends with an error', async () => {
    const { pid } = sidecarOf('middle');
    const begun = await ask({ itlTarget: 40, maxTokens: 400, stream: true });
    expect(begun.headers.get('x-stator-pool')).toBe('middle');
    const reader = begun.body!.getReader();
    await reader.read();
    process.kill(pid!, 'SIGSTOP');
    const waiting = Array.from({ length: 8 }, (_, at) => ask({ itlTarget: 40, stream: at % 2 === 0 }));
    await eventually('all to be given to the pool', async () =>
      (await poolNamed('middle')).selected >= 34 + 1 + 8 ? true : null,
    );
    const killed = sidecarOf('middle').stop(0);
    const answers = await Promise.all(waiting);
    expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200));
    const texts = await Promise.all(answers.map((answer) => answer.text()));
    for (const text of texts) expect(text).toContain('"finish_reason":"length"');
    const decoder = new TextDecoder();
    let rest = '';
    for (let part = await reader.read(); !part.done; part = await reader.read())
      rest += decoder.decode(part.value);
    expect(rest).toMatch(/data: \{"error":.*"(migration_exhausted|worker_unavailable)"/);
    await killed;
    expect((await poolNamed('fast')).retried).toBe(8);
  }, 60_000);

  test('is gone over from then on; without priority retry its requests are told so', async () => {
    expect(await poolOf({ itlTarget: 80 })).toBe('fast');
    expect((await put(document({ enable_priority_retry: false }))).status).toBe(200);
    const refused = await eventually('the new document', async () => {
      const response = await ask({ itlTarget: 40 });
      const text = await response.text();
      return response.status === 200 ? null : { status: response.status, text };
    });
    expect(refused.status).toBe(503);
    expect(refused.text).toMatch(/"code":"(migration_exhausted|worker_unavailable|no_workers)"/);
  }, 30_000);
});

describe('the document', () => {
  test('that is wrong is refused by its field, and the old one goes on', async () => {
    const before = await (await fetch(`${deployment.url}/global_router`)).json();
    const wrong = await put(document({ agg_pool_priorities: [1, 2] }));
    expect(wrong.status).toBe(400);
    expect(await wrong.json()).toMatchObject({ error: { param: 'agg_pool_priorities' } });
    expect(await (await fetch(`${deployment.url}/global_router`)).json()).toEqual(before);
  });

  test('that is taken away leaves each model to one namespace', async () => {
    expect((await fetch(`${deployment.url}/global_router`, { method: 'DELETE' })).status).toBe(200);
    expect((await fetch(`${deployment.url}/get_pool_info`)).status).toBe(404);
    const pool = await eventually('no pools', async () => {
      const response = await ask({ itlTarget: 80 });
      await response.text();
      return response.headers.get('x-stator-pool') === null ? response.status : null;
    });
    expect(pool).toBe(200);
  });
});

test("workerd's log has no uncaught error", () => {
  expect(readFileSync(join(deployment.directory, 'platform.log'), 'utf8')).not.toMatch(/uncaught/i);
});
