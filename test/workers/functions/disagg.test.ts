/** Disaggregation as the platform does it: what the decode worker is told, what a loss changes, and that nothing stays reserved. */

import { expect, test } from 'vitest';
import { Phase } from '../../../gpu-sidecar/proto/gen/stator/v1/fleet_pb.js';
import { WorkerType } from '../../../gpu-sidecar/proto/gen/stator/v1/model_pb.js';
import { batchFrame } from '../../durable/router/fleet-worker.ts';
import { until } from '../durable/fleet-client.ts';
import {
  errorOf,
  inFlight,
  platform,
  post,
  type Scenario,
  type ScenarioOptions,
  scenario,
} from './scenario.ts';

const { PREFILL, DECODE } = WorkerType;
const LONG = [{ role: 'user', content: 'a prompt of several whole blocks '.repeat(4) }];
const json = async (response: Response) => (await response.json()) as Record<string, unknown>;

/** Two prefill workers, then two decode workers. */
const fleet = (options: Partial<ScenarioOptions> = {}) =>
  scenario({
    steps: [{ kind: 'answer' }],
    workers: 4,
    roles: [PREFILL, PREFILL, DECODE, DECODE],
    ...options,
  });

const ended = (run: Scenario, worker: string, reservation: number) =>
  run.clients[run.workers.indexOf(worker)]!.send(
    batchFrame({ progress: [{ reservation, phase: Phase.END, finishReason: 'stop' }] }),
  );

const none = (run: Scenario) =>
  until(
    () => inFlight(run),
    (count) => count === 0,
  );

test('the decode worker is told who computes the prompt, and both are counted until it ends', async () => {
  const run = await fleet({ prefill: 'computed' });
  const response = await run.chat({ messages: LONG });
  await response.text();
  const [call] = (await run.log()).generate;
  expect(run.workers.slice(2)).toContain(call!.worker);
  expect(run.workers.slice(0, 2)).toContain(call!.prefill!.instanceId);
  expect(call!.prefill!.grpcAddress).toMatch(/:\d+$/);
  expect(response.headers.get('x-stator-worker')).toBe(call!.worker);
  expect(response.headers.get('x-stator-prefill-worker')).toBe(call!.prefill!.instanceId);
  expect(await inFlight(run)).toBe(2);
  ended(run, call!.worker, call!.reservation);
  await none(run);
});

test('a short document passes with who computed its prompt', async () => {
  const run = await fleet({ prefill: 'computed' });
  const response = await run.chat({ messages: LONG, stream: false });
  await response.text();
  const [call] = (await run.log()).generate;
  expect(response.headers.get('x-stator-prefill-worker')).toBe(call!.prefill!.instanceId);
});

test('workers named by the client compute and answer; a query names who would', async () => {
  const run = await fleet();
  const [, prefill, decode] = run.workers;
  const nvext = { prefill_worker_id: prefill, decode_worker_id: decode };
  await (await run.chat({ messages: LONG, nvext })).text();
  expect((await run.log()).generate[0]).toMatchObject({ worker: decode, prefill: { instanceId: prefill } });
  const asked = await json(
    await run.chat({
      messages: LONG,
      stream: false,
      nvext: { ...nvext, annotations: ['query_instance_id:'] },
    }),
  );
  expect(asked['nvext']).toMatchObject({
    worker_id: { prefill_worker_id: prefill, decode_worker_id: decode },
    routing: { worker: decode, prefill: { worker: prefill } },
  });
  const wrong = await run.chat({ messages: LONG, nvext: { prefill_worker_id: 'dead' } });
  expect(wrong.status).toBe(503);
  expect(await errorOf(wrong)).toMatchObject({ param: 'nvext.prefill_worker_id' });
});

test('a decode worker lost before its answer takes its prefill worker out of the next attempt', async () => {
  const run = await fleet({ steps: [{ kind: 'cut', at: -1 }, { kind: 'answer' }] });
  await (await run.chat({ messages: LONG })).text();
  const [first, second] = (await run.log()).generate;
  expect(second!.worker).not.toBe(first!.worker);
  expect(second!.prefill!.instanceId).not.toBe(first!.prefill!.instanceId);
  ended(run, second!.worker, second!.reservation);
  await none(run);
});

test('one that is lost in mid-stream does not, and the answer goes on with the same', async () => {
  const run = await fleet({
    workers: 3,
    roles: [PREFILL, DECODE, DECODE],
    steps: [{ kind: 'cut', at: 150 }, { kind: 'answer' }],
    prefill: 'computed',
  });
  const nvext = { extra_fields: ['worker_id'] };
  const response = await run.chat({ messages: LONG, nvext });
  await response.text();
  const [first, second] = (await run.log()).generate;
  expect(second!.resume).not.toBeNull();
  expect(second!.fits).toBe(true);
  expect(second!.prefill!.instanceId).toBe(first!.prefill!.instanceId);
  // The end of the answer says what its beginning would have said.
  expect(first!.nvextPrefillWorker).toBe('');
  expect(second!.nvextPrefillWorker).toBe(first!.prefill!.instanceId);
});

test('a prefill worker that failed is not asked again for that request', async () => {
  const run = await fleet({
    workers: 3,
    roles: [PREFILL, DECODE, DECODE],
    steps: [{ kind: 'cut', at: 150 }, { kind: 'answer' }],
    prefill: 'failed',
  });
  const response = await run.chat({ messages: LONG });
  await response.text();
  const [first, second] = (await run.log()).generate;
  expect(first!.prefill).not.toBeNull();
  expect(second!.prefill).toBeNull();
  await (await run.chat({ messages: LONG })).text();
  expect((await run.log()).generate[2]!.prefill).not.toBeNull();
});

test('a worker that refuses says nothing of the prefill worker', async () => {
  const refuse = { kind: 'refuse', status: 503, code: 'worker_draining', message: 'going' } as const;
  const run = await fleet({
    workers: 3,
    roles: [PREFILL, DECODE, DECODE],
    steps: [refuse, { kind: 'answer' }],
  });
  await (await run.chat({ messages: LONG })).text();
  expect((await run.log()).generate.map(({ prefill }) => prefill?.instanceId)).toEqual([
    run.workers[0],
    run.workers[0],
  ]);
});

test('a request that fails for good leaves neither counted', async () => {
  const refuse = { kind: 'refuse', status: 400, code: 'invalid_request', message: 'no' } as const;
  const run = await fleet({ steps: [refuse] });
  const response = await run.chat({ messages: LONG });
  expect(response.status).toBe(400);
  await response.text();
  expect(await inFlight(run)).toBe(0);
});

test('which prompts are handed over is read and changed while it runs', async () => {
  const run = await fleet();
  const configured = {
    model: run.model,
    policy: 'isl_bounding',
    isl_tokens: 2048,
    isl_ratio: 0.7,
    prefill_busy_threshold: null,
    decode_busy_threshold: null,
    max_local_prefill_length: 1000,
    max_prefill_queue_size: 2,
  };
  expect((await json(await platform('/disagg')))['models']).toContainEqual(configured);
  const change = { model: run.model, policy: 'prefill_queue', decode_busy_threshold: 0.9 };
  expect(await json(await post('/disagg', change))).toEqual({
    ...configured,
    policy: 'prefill_queue',
    decode_busy_threshold: 0.9,
  });
  await (await run.chat({ messages: LONG })).text();
  expect((await run.log()).generate[0]!.prefill).toBeNull();
  await post('/disagg', { model: run.model, max_local_prefill_length: 5, decode_busy_threshold: 'off' });
  await (await run.chat({ messages: LONG })).text();
  expect((await run.log()).generate[1]!.prefill).not.toBeNull();
  const wrong = await post('/disagg', { model: run.model, policy: 'sometimes' });
  expect(wrong.status).toBe(400);
  expect(await errorOf(wrong)).toMatchObject({ param: 'policy' });
  expect((await post('/disagg', { model: 'nobody' })).status).toBe(404);
  const blind = await post('/disagg', { model: run.model, policy: 'prefill_load' });
  expect(blind.status).toBe(400);
  expect(await errorOf(blind)).toMatchObject({ param: 'prefill_busy_threshold' });
  const seeing = { model: run.model, policy: 'prefill_load', prefill_busy_threshold: 0.5 };
  expect(await json(await post('/disagg', seeing))).toMatchObject({ policy: 'prefill_load' });
  expect((await post('/disagg', { model: run.model, prefill_busy_threshold: 'off' })).status).toBe(400);
});

test('a model with prefill workers only is not ready, and says why', async () => {
  const run = await scenario({ steps: [{ kind: 'answer' }], workers: 1, roles: [PREFILL] });
  const models = (await json(await platform('/v1/models')))['data'] as { id: string }[];
  expect(models.map(({ id }) => id)).not.toContain(run.model);
  const refused = await until(
    () => run.chat({ messages: LONG }),
    ({ status }) => status === 503,
  );
  expect((await errorOf(refused)).message).toContain('prefill workers only');
});
