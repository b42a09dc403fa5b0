/** The contract on the polyfill, and what needs time to pass or a crash. The contract in workerd: test/workers/durable. */
import { expect, test } from 'vitest';
import { ObjectNamespace } from '../../../durable/polyfill/object-namespace.ts';
import { settled, VirtualHost } from '../../../durable/polyfill/virtual-host.ts';
import { nearbyPrefillQueue } from '../../../durable/prefill-queue/nearby.ts';
import { PrefillQueue } from '../../../durable/prefill-queue/prefill-queue-object.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import type { PrefillQueueStub } from '../../../functions/env.ts';
import { NOW, newJob, prefillQueueContract, wish } from '../../contract/prefill-queue.contract.ts';

const host = new VirtualHost({ startMs: 1_000 });
const objects = new ObjectNamespace(PrefillQueue, {
  env: {},
  host,
  report: (error) => {
    throw error;
  },
});
const stub = (name: string) => objects.getByName(name) as unknown as PrefillQueueStub;

prefillQueueContract(stub);

test('who waits in vain is told after a second', async () => {
  const queue = stub('patience');
  const { boot } = (await queue.enqueue(newJob('r1', { model: 'other' }))) as { boot: string };
  const { seq } = await queue.watch('d1', { ...NOW, boot });
  const answers: unknown[] = [];
  void queue.lease(wish({ waitMs: 60_000 })).then(({ jobs }) => answers.push(jobs));
  void queue.watch('d1', { boot, after: seq, waitMs: 60_000 }).then(({ changes }) => answers.push(changes));
  await host.advance(LIMITS.prefillWaitMs - 1);
  expect(answers).toEqual([]);
  await host.advance(1);
  expect(answers).toEqual([[], []]);
});

test('a job whose worker falls silent goes to who waits, when its lease ends', async () => {
  const queue = stub('silent');
  await queue.enqueue(newJob('r1'));
  await queue.lease(wish());
  await host.advance(LIMITS.prefillLeaseMs - 500);
  const next = queue.lease(wish({ worker: 'p2', waitMs: 1_000 }));
  await host.advance(500);
  expect((await next).jobs).toMatchObject([{ requestId: 'r1', delivery: 2 }]);
});

test('a crash loses what is younger than a write, and its producer sees another life', async () => {
  const queue = stub('crash');
  await queue.enqueue(newJob('old'));
  const { boot } = (await queue.enqueue(newJob('done'))) as { boot: string };
  const { jobs } = await queue.lease(wish({ most: 1 }));
  await queue.report([{ lease: jobs[0]!.lease, kind: 'begin' }]);
  await host.advance(LIMITS.prefillWriteMs);
  await queue.enqueue(newJob('young'));
  const { seq } = await queue.watch('d1', { ...NOW, boot });
  objects.crash(objects.idFromName('crash'));
  const after = await queue.watch('d1', { boot, after: seq, waitMs: 1_000 });
  expect(after.boot).not.toBe(boot);
  expect(after.changes).toMatchObject([
    { requestId: 'old', state: 'taken', worker: 'p1', grpcAddress: 'p1:7' },
    { requestId: 'done', state: 'queued' },
  ]);
  // Its worker has not noticed anything.
  expect(await queue.report([{ lease: jobs[0]!.lease, kind: 'complete', cachedTokens: 5 }])).toEqual([
    'done',
  ]);
  const { jobs: rest } = await queue.lease(wish());
  expect(rest).toMatchObject([{ requestId: 'done', work: Uint8Array.of(1, 2, 3) }]);
});

test('what has ended is not there after a restart', async () => {
  const queue = stub('ended');
  for (const id of ['r1', 'r2', 'r3']) await queue.enqueue(newJob(id));
  await host.advance(LIMITS.prefillWriteMs);
  const { jobs } = await queue.lease(wish({ most: 2 }));
  await queue.report([
    { lease: jobs[0]!.lease, kind: 'complete', cachedTokens: 5 },
    { lease: jobs[1]!.lease, kind: 'fail', reason: 'no', final: true },
  ]);
  await host.advance(LIMITS.prefillWriteMs);
  objects.crash(objects.idFromName('ended'));
  const { changes } = await queue.watch('d1', NOW);
  expect(changes.map(({ requestId, state }) => [requestId, state])).toEqual([
    ['r2', 'dead'],
    ['r3', 'queued'],
  ]);
  // Its work is read back from disk.
  await queue.requeueDead(['r2@d1']);
  expect((await queue.lease(wish())).jobs).toMatchObject([
    { requestId: 'r2', work: Uint8Array.of(1, 2, 3) },
    {},
  ]);
});

test('a job that is too old goes, whoever has it', async () => {
  const queue = stub('age');
  await queue.enqueue(newJob('r1', { timeoutMs: 2_000 }));
  await queue.enqueue(newJob('r2', { timeoutMs: 2_000 }));
  const { jobs } = await queue.lease(wish({ most: 1 }));
  await host.advance(2_000);
  expect(await queue.report([{ lease: jobs[0]!.lease, kind: 'complete', cachedTokens: 5 }])).toEqual([
    'cancelled',
  ]);
  const { changes } = await queue.watch('d1', NOW);
  expect(changes.map(({ state }) => state)).toEqual(['expired', 'expired']);
});

test('the length is at hand for who decides', async () => {
  expect(nearbyPrefillQueue('length')).toBeUndefined();
  await stub('length').enqueue(newJob('r1'));
  await stub('length').enqueue(newJob('r2'));
  const nearby = nearbyPrefillQueue('length')!;
  expect([nearby.waiting('m'), nearby.waiting('other')]).toEqual([2, 0]);
  const bytes = nearby.bytes('m');
  expect(bytes).toBeGreaterThan(0);
  const { jobs } = await stub('length').lease(wish({ most: 1 }));
  expect(nearby.waiting('m')).toBe(1);
  // Who has one has not computed it yet.
  expect(nearby.bytes('m')).toBe(bytes);
  await stub('length').report([{ lease: jobs[0]!.lease, kind: 'complete', cachedTokens: 0 }]);
  expect([nearby.bytes('m'), nearby.bytes('other')]).toEqual([bytes / 2, 0]);
});

test('metrics say the length, the oldest, what went back and what was given up', async () => {
  const queue = stub('figures');
  await queue.enqueue(newJob('r1'));
  await queue.enqueue(newJob('r2', { timeoutMs: 1_000 }));
  await queue.lease(wish({ most: 1 }));
  await queue.workerLost('p1');
  await host.advance(1_500);
  const text = nearbyPrefillQueue('figures')!.metrics();
  expect(text).toContain('stator_prefill_queue_jobs{namespace="figures",model="m",state="waiting"} 1\n');
  expect(text).toContain('stator_prefill_queue_oldest_seconds{namespace="figures",model="m"} 1.5\n');
  expect(text).toContain('stator_prefill_queue_redelivered_total{namespace="figures"} 1\n');
  expect(text).toContain('stator_prefill_queue_ended_total{namespace="figures",outcome="expired"} 1\n');
  expect(text).toContain('stator_prefill_queue_dead_letters{namespace="figures"} 0\n');
});

test('an idle queue has no timer left', async () => {
  const quiet = new VirtualHost({ startMs: 1_000 });
  const others = new ObjectNamespace(PrefillQueue, { env: {}, host: quiet, report: () => {} });
  await others.getByName('idle').enqueue(newJob('r1'));
  await quiet.advance(LIMITS.prefillJobMs + LIMITS.prefillEndedMs);
  await settled();
  expect(quiet.pending).toBe(0);
});
