/** A prefill worker at the real queue, in virtual time: how much it takes, how it keeps and loses jobs, how it leaves. */
import { expect, test } from 'vitest';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { dispatched, QueueWorld, queueJob } from './queue-world.ts';

const never = new AbortController().signal;

test('a job is computed with the tokens that were asked for', async () => {
  const world = new QueueWorld();
  world.prefillWorker();
  const { dispatcher } = world.decodeWorker();
  const outcome = dispatched(dispatcher, queueJob('r1'));
  await world.pass(100);
  expect(world.computations).toMatchObject([{ requestId: 'r1', delivery: 1, tokenIds: [1, 2, 0xffff_ffff] }]);
  expect(outcome.hosts).toEqual([]);
  world.computations[0]!.begin();
  await world.pass(100);
  expect(outcome).toMatchObject({ hosts: [world.computations[0]!.worker], end: null });
  world.computations[0]!.done(16);
  await world.pass(100);
  expect(outcome).toMatchObject({ end: 16, ends: 1 });
});

test('a worker takes no more than its engine has room for, and the next as soon as one is done', async () => {
  const world = new QueueWorld();
  world.prefillWorker({ room: 2 });
  const { dispatcher } = world.decodeWorker();
  for (const id of ['a', 'b', 'c', 'd']) dispatched(dispatcher, queueJob(id));
  await world.pass(1_500);
  expect(world.computations.map(({ requestId }) => requestId)).toEqual(['a', 'b']);
  world.computations[0]!.done();
  await world.pass(100);
  expect(world.computations.map(({ requestId }) => requestId)).toEqual(['a', 'b', 'c']);
});

test('a long computation keeps its lease', async () => {
  const world = new QueueWorld();
  world.prefillWorker();
  world.prefillWorker();
  const { dispatcher } = world.decodeWorker();
  const outcome = dispatched(dispatcher, queueJob('r1'));
  await world.pass(4 * LIMITS.prefillLeaseMs);
  expect(world.computations.length).toBe(1);
  world.computations[0]!.done();
  await world.pass(100);
  expect(outcome.end).toBe(0);
});

test('a job that nobody wants any more is not computed on', async () => {
  const world = new QueueWorld();
  world.prefillWorker();
  const { dispatcher } = world.decodeWorker();
  const outcome = dispatched(dispatcher, queueJob('r1'));
  await world.pass(100);
  outcome.abort();
  await world.pass(LIMITS.prefillLeaseMs / 3);
  expect(world.computations[0]!.signal.aborted).toBe(true);
  expect(outcome).toMatchObject({ end: 'cancelled', ends: 1 });
});

test('a job is not computed longer than anybody waits, also while the platform is away', async () => {
  const world = new QueueWorld();
  const { line } = world.prefillWorker();
  dispatched(world.decodeWorker().dispatcher, queueJob('r1'));
  await world.pass(100);
  line.state = 'away';
  await world.pass(29_000);
  expect(world.computations[0]!.signal.aborted).toBe(false);
  await world.pass(1_000);
  expect(world.computations[0]!.signal.aborted).toBe(true);
});

test('work that cannot be read is nobody’s, and is kept for people', async () => {
  const world = new QueueWorld();
  world.prefillWorker();
  const job = { producer: '00000000000000d1', model: 'm', priority: 0, timeoutMs: 30_000 };
  await world.queue.enqueue({ ...job, requestId: 'no message', work: Uint8Array.of(255, 255) });
  await world.queue.enqueue({ ...job, requestId: 'no tokens', work: Uint8Array.of(10, 3, 1, 2, 3) });
  await world.pass(500);
  expect(world.computations).toEqual([]);
  expect((await world.queue.status()).deadLetters).toMatchObject([
    { requestId: 'no message', deliveries: 1 },
    { requestId: 'no tokens', deliveries: 1 },
  ]);
});

test('what was computed while the platform was away is told when it is back', async () => {
  const world = new QueueWorld();
  const { line, consumer } = world.prefillWorker();
  const outcome = dispatched(world.decodeWorker().dispatcher, queueJob('r1'));
  await world.pass(100);
  line.state = 'away';
  world.computations[0]!.done(3);
  await world.pass(3_000);
  expect([outcome.end, consumer.active]).toEqual([null, 1]);
  line.state = 'up';
  await world.pass(LIMITS.reconnectMaxMs);
  expect([outcome.end, consumer.active]).toEqual([3, 0]);
});

test('while the platform is away it is asked less and less often', async () => {
  const world = new QueueWorld();
  let calls = 0;
  const lease = () => {
    calls++;
    return Promise.reject(new Error('away'));
  };
  world.prefillWorker({ queue: { lease, report: async () => [] } });
  await world.pass(60_000);
  expect(calls).toBeGreaterThan(30);
  expect(calls).toBeLessThan(50);
});

test('a completion whose answer was lost is told twice and counts once', async () => {
  const world = new QueueWorld();
  const { line } = world.prefillWorker();
  const outcome = dispatched(world.decodeWorker().dispatcher, queueJob('r1'));
  await world.pass(100);
  line.state = 'lossy';
  world.computations[0]!.done(3);
  await world.pass(500);
  expect(outcome).toMatchObject({ end: 3, ends: 1 });
  line.state = 'up';
  await world.pass(5_000);
  expect(world.computations.length).toBe(1);
  expect(await world.queue.status()).toMatchObject({ models: [], redelivered: 0 });
});

test('jobs in an answer that was lost are given again', async () => {
  const world = new QueueWorld();
  const { line } = world.prefillWorker();
  await world.pass(100);
  line.state = 'lossy';
  const outcome = dispatched(world.decodeWorker().dispatcher, queueJob('r1'));
  await world.pass(10);
  line.state = 'up';
  world.script = (computation) => computation.done();
  await world.pass(1_000);
  expect(world.computations).toMatchObject([{ requestId: 'r1', delivery: 2 }]);
  expect(outcome.end).toBe(0);
});

test('a worker that leaves finishes what it has and takes no more', async () => {
  const world = new QueueWorld();
  const { consumer } = world.prefillWorker();
  const { dispatcher } = world.decodeWorker();
  const first = dispatched(dispatcher, queueJob('r1'));
  await world.pass(100);
  let left = false;
  void consumer.drain(never).then(() => {
    left = true;
  });
  // It still waits for jobs, and gives back what it gets.
  const second = dispatched(dispatcher, queueJob('r2'));
  await world.pass(2_000);
  expect(world.computations.length).toBe(1);
  expect(left).toBe(false);
  world.computations[0]!.done();
  await world.pass(200);
  expect([left, first.end, second.end]).toEqual([true, 0, null]);
  world.prefillWorker();
  await world.pass(100);
  expect(world.computations[1]).toMatchObject({ requestId: 'r2', delivery: 1 });
});

test('a worker that must leave now gives its jobs back', async () => {
  const world = new QueueWorld();
  const { consumer } = world.prefillWorker();
  const outcome = dispatched(world.decodeWorker().dispatcher, queueJob('r1'));
  await world.pass(100);
  const cut = new AbortController();
  const left = consumer.drain(cut.signal);
  cut.abort();
  await world.pass(1_200);
  await left;
  expect(world.computations[0]!.signal.aborted).toBe(true);
  world.script = (computation) => computation.done();
  world.prefillWorker();
  await world.pass(100);
  expect(world.computations[1]).toMatchObject({ requestId: 'r1', delivery: 1 });
  expect(outcome.end).toBe(0);
});

test('a worker leaves in time although the platform is away', async () => {
  const world = new QueueWorld();
  const { consumer, line } = world.prefillWorker();
  dispatched(world.decodeWorker().dispatcher, queueJob('r1'));
  await world.pass(100);
  line.state = 'away';
  const cut = new AbortController();
  let left = false;
  void consumer.drain(cut.signal).then(() => {
    left = true;
  });
  cut.abort();
  await world.pass(3_000);
  expect(left).toBe(true);
});
