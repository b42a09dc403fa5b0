/** A decode worker at the real queue, in virtual time: it hears one end of each job, whatever is lost on the way. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { dispatched, type Outcome, QueueWorld, queueJob } from './queue-world.ts';

test('a worker that is lost before it has begun is replaced unseen', async () => {
  const world = new QueueWorld();
  const { line } = world.prefillWorker();
  const outcome = dispatched(world.decodeWorker().dispatcher, queueJob('r1'));
  await world.pass(100);
  line.state = 'dead';
  world.script = (computation) => {
    computation.begin();
    computation.done(1);
  };
  const { instanceId: worker } = world.prefillWorker();
  await world.pass(LIMITS.prefillLeaseMs + 200);
  expect(outcome).toMatchObject({ hosts: [worker], end: 1, ends: 1 });
});

test('a worker that is lost after that is a failure, and nobody else begins', async () => {
  const world = new QueueWorld();
  const { line } = world.prefillWorker();
  const outcome = dispatched(world.decodeWorker().dispatcher, queueJob('r1'));
  await world.pass(100);
  world.computations[0]!.begin();
  await world.pass(100);
  line.state = 'dead';
  await world.pass(LIMITS.prefillLeaseMs + 200);
  expect(outcome).toMatchObject({ end: 'worker_unavailable', ends: 1 });
  world.prefillWorker();
  await world.pass(1_000);
  expect(world.computations.length).toBe(1);
});

test('a job that every worker fails at comes to an end', async () => {
  const world = new QueueWorld();
  world.script = (computation) => computation.fail(new Error('out of memory'));
  world.prefillWorker();
  const outcome = dispatched(world.decodeWorker().dispatcher, queueJob('r1'));
  await world.pass(2_000);
  expect(outcome).toMatchObject({ hosts: [], end: 'engine_error', ends: 1 });
  expect(world.computations.map(({ delivery }) => delivery)).toEqual([1, 2, 3]);
  expect((await world.queue.status()).deadLetters).toMatchObject([{ reason: 'out of memory' }]);
});

test('a job that nobody takes is over after its time', async () => {
  const world = new QueueWorld();
  const outcome = dispatched(world.decodeWorker().dispatcher, queueJob('r1'));
  await world.pass(29_900);
  expect(outcome.end).toBeNull();
  await world.pass(200);
  expect(outcome).toMatchObject({ end: 'deadline_exceeded', ends: 1 });
});

test('a queue that cannot be reached is a failure at once', async () => {
  const world = new QueueWorld();
  const { line, dispatcher } = world.decodeWorker();
  line.state = 'away';
  const outcome = dispatched(dispatcher, queueJob('r1'));
  await world.pass(0);
  expect(outcome).toMatchObject({ end: 'worker_unavailable', ends: 1 });
});

test('a request that comes twice is two jobs', async () => {
  const world = new QueueWorld();
  world.prefillWorker();
  world.script = (computation) => computation.done(computation.tokenIds.length);
  const { dispatcher } = world.decodeWorker();
  const first = dispatched(dispatcher, queueJob('r1'));
  const second = dispatched(dispatcher, queueJob('r1', { tokenIds: Uint32Array.of(9) }));
  await world.pass(500);
  expect([first.end, second.end]).toEqual([3, 1]);
});

test('a caller that leaves before its job is enqueued leaves nothing behind', async () => {
  const world = new QueueWorld();
  const outcome = dispatched(world.decodeWorker().dispatcher, queueJob('r1'));
  outcome.abort();
  await world.pass(100);
  expect(outcome.end).toBe('cancelled');
  expect(await world.queue.status()).toMatchObject({ models: [] });
});

test('a job that a crash of the queue lost is enqueued again', async () => {
  const world = new QueueWorld();
  const { dispatcher } = world.decodeWorker();
  const old = dispatched(dispatcher, queueJob('old'));
  await world.pass(LIMITS.prefillWriteMs + 100);
  const young = dispatched(dispatcher, queueJob('young'));
  await world.pass(10);
  world.crash();
  world.script = (computation) => computation.done();
  world.prefillWorker();
  await world.pass(3_000);
  expect([old.end, young.end]).toEqual([0, 0]);
  expect(world.computations.map(({ requestId }) => requestId).sort()).toEqual(['old', 'young']);
});

test('a dispatcher that is closed gives everything up', async () => {
  const world = new QueueWorld();
  const { dispatcher } = world.decodeWorker();
  const outcome = dispatched(dispatcher, queueJob('r1'));
  await world.pass(100);
  dispatcher.close();
  await world.pass(100);
  expect(outcome).toMatchObject({ end: 'cancelled', ends: 1 });
  expect(dispatched(dispatcher, queueJob('r2'))).toMatchObject({ end: null });
  expect(await world.queue.status()).toMatchObject({ models: [] });
});

const fault = fc.record({
  afterMs: fc.constantFrom(0, 10, 90, 400, 3_000),
  what: fc.constantFrom('kill', 'crash', 'outage', 'loss', 'fail', 'finish', 'begin', 'leave', 'ask', 'heal'),
  which: fc.nat(7),
});

test('whatever fails when, every job has one end, and nothing is left in the queue', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fault, { minLength: 5, maxLength: 25 }), async (faults) => {
      const world = new QueueWorld();
      const workers = [world.prefillWorker(), world.prefillWorker()];
      const decoders = [world.decodeWorker(), world.decodeWorker()];
      const outcomes: Outcome[] = [];
      const ask = (which: number) => {
        const { dispatcher } = decoders[which % decoders.length]!;
        outcomes.push(dispatched(dispatcher, queueJob(`r${outcomes.length}`)));
      };
      for (let i = 0; i < 3; i++) ask(i);
      for (const { afterMs, what, which } of faults) {
        await world.pass(afterMs);
        const worker = workers[which % workers.length]!;
        const lines = [...workers, ...decoders]
          .map(({ line }) => line)
          .filter(({ state }) => state !== 'dead');
        const line = lines[which % lines.length]!;
        const open = world.computations.filter(({ signal }) => !signal.aborted);
        const computation = open[which % Math.max(1, open.length)];
        if (what === 'kill') {
          worker.line.state = 'dead';
          workers[which % workers.length] = world.prefillWorker();
        } else if (what === 'crash') world.crash();
        else if (what === 'outage') line.state = 'away';
        else if (what === 'loss') line.state = 'lossy';
        else if (what === 'heal') for (const each of lines) each.state = 'up';
        else if (what === 'fail') computation?.fail(new Error('no'));
        else if (what === 'finish') computation?.done();
        else if (what === 'begin') computation?.begin();
        else if (what === 'leave') outcomes[which % outcomes.length]!.abort();
        else ask(which);
      }
      for (const { line } of [...workers, ...decoders]) if (line.state !== 'dead') line.state = 'up';
      world.script = (computation) => computation.done();
      for (const computation of world.computations) computation.done();
      // As long as a job may wait, and as the queue may need to find out that a worker is dead.
      await world.pass(LIMITS.prefillJobMs / 2 + 2 * LIMITS.prefillLeaseMs, 500);
      expect(outcomes.map(({ ends }) => ends)).toEqual(outcomes.map(() => 1));
      const { models, bytes } = await world.queue.status();
      expect({ models, bytes }).toEqual({ models: [], bytes: 0 });
      for (const { consumer, line } of workers) if (line.state === 'up') expect(consumer.active).toBe(0);
    }),
    { numRuns: 25 },
  );
}, 60_000);
