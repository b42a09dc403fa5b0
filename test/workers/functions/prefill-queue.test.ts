/** The prefill queue's HTTP face: workers with messages, operators with JSON, and what comes from strangers. */

import { create, type DescMessage, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { beforeAll, expect, test } from 'vitest';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import {
  CancelRequestSchema,
  EnqueueRequestSchema,
  EnqueueResponseSchema,
  JobState,
  LeaseRequestSchema,
  LeaseResponseSchema,
  ReportKind,
  ReportRequestSchema,
  ReportResponseSchema,
  Verdict,
  WatchRequestSchema,
  WatchResponseSchema,
} from '../../../gpu-sidecar/proto/gen/stator/v1/prefill_queue_pb.js';
import { errorOf, FLEET_TOKEN, NAMESPACE, platform, post, scenario } from './scenario.ts';

const PRODUCER = '00000000000000d1';
const WORKER = '00000000000000f1';

/** The test's own models, so that tests share the one queue. */
let models = 0;
const newModel = () => `queue-model-${++models}`;

const ask = (path: string, body: Uint8Array, token = FLEET_TOKEN) =>
  platform(`/fleet/v1/prefill-queue/${path}`, {
    method: 'POST',
    body,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/proto' },
  });

async function call<In extends DescMessage, Out extends DescMessage>(
  method: string,
  [input, output]: [In, Out],
  message: MessageInitShape<In>,
) {
  const response = await ask(`${NAMESPACE}/${method}`, toBinary(input, create(input, message)));
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('application/proto');
  return fromBinary(output, new Uint8Array(await response.arrayBuffer()));
}

const job = (model: string, others: MessageInitShape<typeof EnqueueRequestSchema> = {}) => ({
  requestId: `req_${model}`,
  producer: PRODUCER,
  model,
  timeoutMs: 30_000,
  work: Uint8Array.of(1, 2, 3),
  ...others,
});
const enqueue = (message: MessageInitShape<typeof EnqueueRequestSchema>) =>
  call('enqueue', [EnqueueRequestSchema, EnqueueResponseSchema], message);
const lease = (model: string, others: MessageInitShape<typeof LeaseRequestSchema> = {}) =>
  call('lease', [LeaseRequestSchema, LeaseResponseSchema], {
    worker: WORKER,
    grpcAddress: '127.0.0.1:1',
    model,
    most: 4,
    ...others,
  });
const report = (id: string, kind: ReportKind, others: object = {}) =>
  call('report', [ReportRequestSchema, ReportResponseSchema], { reports: [{ lease: id, kind, ...others }] });
const encoded = (message: MessageInitShape<typeof EnqueueRequestSchema>) =>
  toBinary(EnqueueRequestSchema, create(EnqueueRequestSchema, message));

/** The namespace is known once somebody serves in it. */
beforeAll(async () => {
  await scenario({ steps: [{ kind: 'answer' }] });
});

test('a job goes from a decode worker to a prefill worker and back', async () => {
  const model = newModel();
  expect(await enqueue(job(model, { priority: -3 }))).toMatchObject({ state: JobState.QUEUED });
  const { jobs, leaseMs } = await lease(model, { waitMs: 1_000 });
  expect(leaseMs).toBe(LIMITS.prefillLeaseMs);
  expect(jobs).toMatchObject([
    {
      requestId: `req_${model}`,
      producer: PRODUCER,
      priority: -3,
      delivery: 1,
      work: Uint8Array.of(1, 2, 3),
    },
  ]);
  await report(jobs[0]!.lease, ReportKind.BEGIN);
  expect(jobs[0]!.timeLeftMs).toBeGreaterThan(0);
  const watch = (message: MessageInitShape<typeof WatchRequestSchema>) =>
    call('watch', [WatchRequestSchema, WatchResponseSchema], { producer: PRODUCER, ...message });
  const { boot, seq, changes } = await watch({});
  const own = changes.filter(({ requestId }) => requestId === `req_${model}`);
  expect(own).toMatchObject([{ state: JobState.TAKEN, worker: WORKER, grpcAddress: '127.0.0.1:1' }]);
  const { verdicts } = await report(jobs[0]!.lease, ReportKind.COMPLETE, { cachedTokens: 9 });
  expect(verdicts).toEqual([Verdict.DONE]);
  const next = await watch({ boot, after: seq, waitMs: 1_000 });
  expect(next.changes).toMatchObject([{ state: JobState.READY, cachedTokens: 9 }]);
});

test('a job that is cancelled is given to nobody', async () => {
  const model = newModel();
  await enqueue(job(model));
  await call('cancel', [CancelRequestSchema, CancelRequestSchema], {
    producer: PRODUCER,
    requestIds: [`req_${model}`],
  });
  expect((await lease(model)).jobs).toEqual([]);
});

test('an unknown lease is over', async () => {
  expect((await report(`${'0'.repeat(16)}-7`, ReportKind.COMPLETE)).verdicts).toEqual([Verdict.SUPERSEDED]);
});

test('operators see dead letters, put them back and drop them', async () => {
  const model = newModel();
  await enqueue(job(model));
  const fail = async () => {
    const [leased] = (await lease(model)).jobs;
    await report(leased!.lease, ReportKind.FAIL, { reason: 'x'.repeat(10_000), final: true });
  };
  await fail();
  const id = `req_${model}@${PRODUCER}`;
  const letters = async () => {
    const response = await platform(`/stator/v1/prefill_queue?namespace=${NAMESPACE}`);
    return ((await response.json()) as { deadLetters: { id: string; reason: string }[] }).deadLetters;
  };
  const [letter] = (await letters()).filter((one) => one.id === id);
  expect(letter).toMatchObject({ deliveries: 1, reason: 'x'.repeat(LIMITS.prefillReasonLength) });
  const done = await post('/stator/v1/prefill_queue/dead_letters', { action: 'requeue', ids: [id] });
  expect(await done.json()).toEqual({ jobs: 1 });
  await fail();
  const dropped = await post('/stator/v1/prefill_queue/dead_letters', { action: 'drop' });
  expect(await dropped.json()).toEqual({ jobs: 1 });
  expect(await letters()).toEqual([]);
});

test('the figures are in /metrics, under the name of the namespace', async () => {
  const model = newModel();
  await enqueue(job(model));
  const text = await (await platform('/metrics')).text();
  expect(text).toContain(
    `stator_prefill_queue_jobs{namespace="${NAMESPACE}",model="${model}",state="waiting"} 1\n`,
  );
  await lease(model);
});

test('the fleet token is wanted', async () => {
  const response = await ask(`${NAMESPACE}/enqueue`, encoded(job(newModel())), 'wrong');
  expect(response.status).toBe(401);
});

test.each([
  ['unknown method', 'default/destroy', encoded(job('x')), 404, 'not_found', null],
  ['name of an object’s member', 'default/constructor', encoded(job('x')), 404, 'not_found', null],
  ['wrong namespace', 'De%20Fault/enqueue', encoded(job('x')), 400, 'invalid_request', 'namespace'],
  ['no message', 'default/enqueue', Uint8Array.of(255, 255, 255), 400, 'invalid_frame', null],
  ['empty message', 'default/enqueue', new Uint8Array(), 400, 'invalid_request', 'request_id'],
  [
    'odd request id',
    'default/enqueue',
    encoded(job('x', { requestId: 'a b' })),
    400,
    'invalid_request',
    'request_id',
  ],
  [
    'odd producer',
    'default/enqueue',
    encoded(job('x', { producer: 'D1' })),
    400,
    'invalid_request',
    'producer',
  ],
  ['no time', 'default/enqueue', encoded(job('x', { timeoutMs: 0 })), 400, 'invalid_request', 'timeout_ms'],
  [
    'no work',
    'default/enqueue',
    encoded(job('x', { work: new Uint8Array() })),
    400,
    'invalid_request',
    'work',
  ],
  [
    'huge job',
    'default/enqueue',
    encoded(job('x', { work: new Uint8Array(LIMITS.prefillJobBytes + 1) })),
    413,
    'body_too_large',
    null,
  ],
  [
    'huge body',
    'default/enqueue',
    encoded(job('x', { work: new Uint8Array(LIMITS.prefillJobBytes + 100_000) })),
    413,
    'body_too_large',
    null,
  ],
  [
    'odd lease',
    'default/report',
    toBinary(ReportRequestSchema, create(ReportRequestSchema, { reports: [{ lease: '../x', kind: 1 }] })),
    400,
    'invalid_request',
    'reports.lease',
  ],
  [
    'odd kind of report',
    'default/report',
    toBinary(
      ReportRequestSchema,
      create(ReportRequestSchema, { reports: [{ lease: `${'0'.repeat(16)}-7`, kind: 99 as ReportKind }] }),
    ),
    400,
    'invalid_request',
    'reports.kind',
  ],
  [
    'too many reports',
    'default/report',
    toBinary(
      ReportRequestSchema,
      create(ReportRequestSchema, {
        reports: Array.from({ length: LIMITS.prefillCallItems + 1 }, () => ({})),
      }),
    ),
    400,
    'invalid_request',
    'reports',
  ],
] as const)('%s is refused', async (_name, path, body, status, code, param) => {
  const response = await ask(path, body);
  expect(response.status).toBe(status);
  expect(await errorOf(response)).toMatchObject({ code, param });
});

test('a namespace that nobody serves in has no queue to look at', async () => {
  const response = await platform('/stator/v1/prefill_queue?namespace=nowhere');
  expect(await errorOf(response)).toMatchObject({ code: 'not_found', param: 'namespace' });
});
