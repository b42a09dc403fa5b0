/**
 * The planner with real processes: it orders, an executor does and says so by HTTP and native gRPC, a second one is refused, a
 * restart of workerd forgets nothing, and its log can be decided again with the same result.
 */

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import type { GenMessage } from '@bufbuild/protobuf/codegenv2';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { inlinePlannerProfile } from '../../cli/planner-profile-file.ts';
import { resolveSettings } from '../../durable/runtime/config.ts';
import {
  CompleteRequestSchema,
  CompleteResponseSchema,
  DecisionsRequestSchema,
  DecisionsResponseSchema,
  WaitRequestSchema,
  WaitResponseSchema,
} from '../../gpu-sidecar/proto/gen/stator/v1/planner_pb.js';
import { deploy, eventually, statusOf, workersServing } from '../harness/deployment.ts';

const API_KEY = 'sk-stator-e2e';
const ROOT = join(import.meta.dirname, '..', '..');
const asIs = (bytes: Buffer) => bytes;
let deployment: Deployment;
let client: Client;

beforeAll(async () => {
  const { plannerProfile } = inlinePlannerProfile({
    ...resolveSettings([]),
    planner: 'sla',
    engine: 'mock',
  });
  deployment = await deploy({
    workers: 1,
    engine: 'mock',
    modelName: 'mock',
    engineSpeedup: 0,
    apiKey: API_KEY,
    planner: 'sla',
    plannerConnector: 'virtual',
    plannerProfile,
    plannerIntervalSecs: 1,
    plannerMin: 2,
    plannerMax: 4,
  });
  client = new Client((await statusOf(deployment)).workers[0]!.grpcAddress, credentials.createInsecure());
});

afterAll(() => client?.close());

const ask = async (path: string, body?: object) => {
  const headers = { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' };
  const init = body === undefined ? { headers } : { headers, method: 'POST', body: JSON.stringify(body) };
  const response = await fetch(`${deployment.url}/planner/v1/default${path}`, init);
  return { status: response.status, body: (await response.json()) as Record<string, never> };
};

/** A call by native gRPC, through the worker's listener. */
function call<Req extends object, Res extends object>(
  method: string,
  [request, response]: [GenMessage<never>, GenMessage<never>] | readonly unknown[],
  init: MessageInitShape<GenMessage<never>> | object,
): Promise<Res & Req> {
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${API_KEY}`);
  const bytes = Buffer.from(toBinary(request as never, create(request as never, init as never) as never));
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(`/stator.v1.Planner/${method}`, asIs, asIs, bytes, metadata, (error, answer) => {
      if (error !== null) reject(error);
      else resolve(fromBinary(response as never, answer!) as never);
    });
  });
}

it('an order is fetched, executed by one executor alone, and said to be done by native gRPC', async () => {
  const first = await ask('/orders?executor=one');
  expect(first.body).toMatchObject({
    order: { counts: { worker: 2 }, numPrefill: -1, numDecode: 2, outcome: 'pending' },
  });
  const { id } = (first.body as unknown as { order: { id: number } }).order;
  const waited = call('Wait', [WaitRequestSchema, WaitResponseSchema], {
    namespace: 'default',
    executor: 'two',
  });
  await expect(waited).rejects.toMatchObject({ code: 9, details: expect.stringContaining("'one' executes") });
  expect((await ask('/orders?executor=two')).status).toBe(409);
  const again = await call<object, { order: { decisionId: bigint; numDecode: number } }>(
    'Wait',
    [WaitRequestSchema, WaitResponseSchema],
    { namespace: 'default', executor: 'one' },
  );
  expect(again.order).toMatchObject({ decisionId: BigInt(id), numDecode: 2 });

  deployment.addSidecar();
  await workersServing(deployment, 2);
  const done = await call('Complete', [CompleteRequestSchema, CompleteResponseSchema], {
    namespace: 'default',
    decisionId: BigInt(id),
    executor: 'one',
  });
  expect(done).toMatchObject({ outcome: 'done' });
  await eventually('the planner to see two workers', async () => {
    const { body } = await ask('');
    return (body as { fleet?: { worker?: { ready: number } } }).fleet?.worker?.ready === 2 ? true : null;
  });
  expect((await ask('')).body).toMatchObject({
    mode: 'sla',
    wants: { worker: 2 },
    order: { outcome: 'done' },
  });
});

it('a restart of workerd forgets no decision, and the log comes out the same when it is decided again', async () => {
  const page = async () =>
    (await ask('/decisions?limit=200')).body as unknown as { decisions: { id: number }[] };
  const before = (await page()).decisions.at(-1)!.id;
  const { pid } = deployment.platform;
  process.kill(pid!, 'SIGKILL');
  await eventually('the planner to look again', async () => {
    const { decisions } = await page().catch(() => ({ decisions: [] }));
    return (decisions.at(-1)?.id ?? 0) > before + 2 ? true : null;
  });
  expect((await page()).decisions[0]).toMatchObject({ id: 1, outcome: 'done', counts: { worker: 2 } });
  await workersServing(deployment, 2);
  const cli = join(ROOT, 'cli', 'main.ts');
  const words = ['planner', 'replay', '--json', '--url', deployment.url, '--api-key', API_KEY];
  // Its exit code says the same as its output.
  const run = promisify(execFile)(process.execPath, [cli, ...words]);
  const { stdout } = await run.catch((failed: { stdout: string }) => failed);
  const replayed = JSON.parse(stdout) as { replayed: number; skipped: number; different: unknown[] };
  expect(replayed).toMatchObject({ skipped: 0, different: [] });
  expect(replayed.replayed).toBeGreaterThan(before);
  const { stdout: status } = await promisify(execFile)(process.execPath, [
    cli,
    'planner',
    'status',
    ...words.slice(3),
  ]);
  expect(status).toMatch(/planner sla by virtual; has worker 2; wants worker 2; order 1 done/);
  const explained = await call<object, { decisions: { because: string[]; counts: { workers: number } }[] }>(
    'Decisions',
    [DecisionsRequestSchema, DecisionsResponseSchema],
    { namespace: 'default', limit: 3 },
  );
  expect(explained.decisions).toHaveLength(3);
  for (const { because, counts } of explained.decisions) {
    expect(because.length).toBeGreaterThan(0);
    expect(counts.workers).toBe(2);
  }
});
