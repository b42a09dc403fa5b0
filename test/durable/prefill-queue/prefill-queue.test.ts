/** The queue's core: by example, and any history against the naive one, restarts from a real disk included. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ObjectStorage } from '../../../durable/polyfill/object-storage.ts';
import { isLive, type Job } from '../../../durable/prefill-queue/job.ts';
import { PrefillQueueCore } from '../../../durable/prefill-queue/prefill-queue.ts';
import { queueStatus } from '../../../durable/prefill-queue/queue-metrics.ts';
import type { NewPrefillJob } from '../../../durable/prefill-queue/rpc.ts';
import { SqlDisk } from '../../../durable/prefill-queue/sql-disk.ts';
import { isKept } from '../../../durable/prefill-queue/unwritten.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { NaiveQueue, type NaiveReport } from './naive-queue.ts';

const newJob = (requestId: string, others: Partial<NewPrefillJob> = {}): NewPrefillJob => ({
  requestId,
  producer: 'd1',
  model: 'm',
  priority: 0,
  timeoutMs: 30_000,
  work: Uint8Array.of(1, 2, 3),
  ...others,
});
const WISH = { worker: 'p1', grpcAddress: 'p1:1', model: 'm', most: 9 };
const emptyDisk = () => new SqlDisk(new ObjectStorage(ObjectStorage.emptyDatabase(), () => {}) as never);

/** As the shell does it. */
function writeTurn(core: PrefillQueueCore, disk: SqlDisk, nowMs: number): Job[] {
  const jobs = core.book.unwritten.take(nowMs - LIMITS.prefillWriteMs, LIMITS.prefillWriteBytes);
  disk.write(jobs);
  return jobs;
}

function restarted(disk: SqlDisk, nowMs: number, boot = 'b2'): PrefillQueueCore {
  const core = new PrefillQueueCore({ boot });
  for (const job of disk.load(LIMITS.prefillDeadMs)) core.restore(job, nowMs);
  return core;
}

describe('by example', () => {
  test('the highest priority goes first, then who came first', () => {
    const core = new PrefillQueueCore({ boot: 'b' });
    for (const [id, priority] of [
      ['a', 0],
      ['b', 5],
      ['c', 0],
      ['d', 5],
    ] as const)
      core.enqueue(newJob(id, { priority }), 0);
    expect(core.lease(WISH, 1).map(({ requestId }) => requestId)).toEqual(['b', 'd', 'a', 'c']);
  });

  test('a model gets no other model’s jobs', () => {
    const core = new PrefillQueueCore({ boot: 'b' });
    core.enqueue(newJob('a', { model: 'other' }), 0);
    expect(core.lease(WISH, 1)).toEqual([]);
    expect([core.book.waiting('m'), core.book.waiting('other')]).toEqual([0, 1]);
  });

  test('a silent worker’s job goes to another, and what the first does then has no effect', () => {
    const core = new PrefillQueueCore({ boot: 'b' });
    core.enqueue(newJob('a'), 0);
    const [first] = core.lease(WISH, 0);
    const firstLease = first!.lease!.id;
    const [second] = core.lease({ ...WISH, worker: 'p2' }, LIMITS.prefillLeaseMs);
    expect(second).toMatchObject({ requestId: 'a', deliveries: 2, lease: { worker: 'p2' } });
    expect(core.report({ lease: firstLease, kind: 'complete', cachedTokens: 0 }, LIMITS.prefillLeaseMs)).toBe(
      'superseded',
    );
    expect(
      core.report({ lease: second!.lease!.id, kind: 'complete', cachedTokens: 0 }, LIMITS.prefillLeaseMs),
    ).toBe('done');
  });

  test('a completion told twice is one end', () => {
    const ends: string[] = [];
    const core = new PrefillQueueCore({ boot: 'b', ended: (outcome) => ends.push(outcome) });
    core.enqueue(newJob('a'), 0);
    const lease = core.lease(WISH, 0)[0]!.lease!.id;
    expect(core.report({ lease, kind: 'complete', cachedTokens: 0 }, 1)).toBe('done');
    expect(core.report({ lease, kind: 'complete', cachedTokens: 0 }, 2)).toBe('done');
    expect(ends).toEqual(['ready']);
  });

  test('a cancelled job says so at the next renewal, and a completion then ends nothing', () => {
    const core = new PrefillQueueCore({ boot: 'b' });
    core.enqueue(newJob('a'), 0);
    const lease = core.lease(WISH, 0)[0]!.lease!.id;
    core.cancel('d1', ['a'], 1);
    expect(core.report({ lease, kind: 'renew' }, 2)).toBe('cancelled');
    expect(core.report({ lease, kind: 'complete', cachedTokens: 0 }, 3)).toBe('cancelled');
    expect(core.changes('d1', 0, 4)).toMatchObject([{ requestId: 'a', state: 'cancelled' }]);
  });

  test('nobody cancels the job of another producer', () => {
    const core = new PrefillQueueCore({ boot: 'b' });
    core.enqueue(newJob('a'), 0);
    core.cancel('d2', ['a'], 1);
    expect(core.book.waiting('m')).toBe(1);
  });

  test('after its deliveries a job is a dead letter, with the last reason, and can begin anew', () => {
    const core = new PrefillQueueCore({ boot: 'b' });
    core.enqueue(newJob('a'), 0);
    let nowMs = 0;
    for (let delivery = 1; delivery <= LIMITS.prefillDeliveries; delivery++) {
      nowMs += LIMITS.prefillRestMs;
      const [job] = core.lease(WISH, nowMs);
      core.report({ lease: job!.lease!.id, kind: 'fail', reason: `no ${delivery}`, final: false }, nowMs);
    }
    const { deadLetters } = queueStatus(core, nowMs);
    expect(deadLetters).toMatchObject([
      { id: 'a@d1', reason: `no ${LIMITS.prefillDeliveries}`, deliveries: LIMITS.prefillDeliveries },
    ]);
    expect(core.enqueue(newJob('a'), nowMs)).toEqual({ boot: 'b', state: 'dead' });
    expect(core.requeueDead(['a@d1', 'a@d1', 'nobody'], nowMs)).toBe(1);
    expect(core.lease(WISH, nowMs)).toMatchObject([{ requestId: 'a', deliveries: 1 }]);
  });

  test('a failure that all would have is a dead letter at once', () => {
    const core = new PrefillQueueCore({ boot: 'b' });
    core.enqueue(newJob('a'), 0);
    const lease = core.lease(WISH, 0)[0]!.lease!.id;
    core.report({ lease, kind: 'fail', reason: 'no such layout', final: true }, 1);
    expect(core.changes('d1', 0, 1)).toMatchObject([{ state: 'dead', reason: 'no such layout' }]);
  });

  test('an answer that was lost on its way is seen at the worker’s next call', () => {
    const core = new PrefillQueueCore({ boot: 'b' });
    core.enqueue(newJob('a'), 0);
    core.enqueue(newJob('b'), 0);
    const [held] = core.lease({ ...WISH, most: 1 }, 0);
    core.lease({ ...WISH, most: 1 }, 0);
    core.holds('p1', [held!.lease!.id], 1);
    expect(core.lease({ ...WISH, worker: 'p2' }, 1)).toMatchObject([{ requestId: 'b' }]);
  });

  test('a job is refused that is too large, or that finds the queue full', () => {
    const core = new PrefillQueueCore({ boot: 'b' });
    const work = new Uint8Array(LIMITS.prefillJobBytes + 1);
    expect(core.enqueue(newJob('huge', { work }), 0)).toMatchObject({ refused: 'body_too_large' });
    const large = new Uint8Array(LIMITS.prefillJobBytes);
    const fit = Math.floor(LIMITS.prefillQueueBytes / large.byteLength);
    for (let i = 0; i < fit; i++)
      expect(core.enqueue(newJob(`l${i}`, { work: large }), 0)).toHaveProperty('state');
    expect(core.enqueue(newJob('one more', { work: large }), 0)).toMatchObject({ refused: 'overloaded' });
    core.cancel('d1', ['l0'], 0);
    expect(core.enqueue(newJob('one more', { work: large }), 0)).toHaveProperty('state');
  });

  test('bounds hold for live jobs, remembered ends and dead letters', () => {
    const core = new PrefillQueueCore({ boot: 'b' });
    for (let i = 0; i < LIMITS.prefillQueueJobs; i++) core.enqueue(newJob(`a${i}`), 0);
    expect(core.enqueue(newJob('one more'), 0)).toMatchObject({ refused: 'overloaded' });
    for (let round = 0; round < 3; round++) {
      for (const job of core.lease({ ...WISH, most: LIMITS.prefillQueueJobs }, round)) {
        const final = job.seq % 20 === 0;
        const lease = job.lease!.id;
        core.report(
          final ? { lease, kind: 'fail', reason: '', final } : { lease, kind: 'complete', cachedTokens: 0 },
          round,
        );
      }
      for (let i = 0; i < LIMITS.prefillQueueJobs; i++) core.enqueue(newJob(`${round}-${i}`), round);
    }
    const jobs = [...core.book.all()];
    const count = (kind: string) => jobs.filter(({ phase }) => phase.kind === kind).length;
    expect(jobs.filter(isLive).length).toBe(LIMITS.prefillQueueJobs);
    expect(count('ended')).toBe(LIMITS.prefillEndedJobs);
    expect(count('dead')).toBe(LIMITS.prefillDeadLetters);
    core.settle(LIMITS.prefillDeadMs + LIMITS.prefillJobMs);
    core.settle(2 * LIMITS.prefillDeadMs);
    expect([...core.book.all()]).toEqual([]);
    expect(core.dueMs).toBe(Number.POSITIVE_INFINITY);
  });

  test('what is done before it would be written never touches the disk', () => {
    const core = new PrefillQueueCore({ boot: 'b' });
    const disk = emptyDisk();
    core.enqueue(newJob('a'), 0);
    core.enqueue(newJob('b'), 50);
    core.report(
      { lease: core.lease({ ...WISH, most: 1 }, 60)[0]!.lease!.id, kind: 'complete', cachedTokens: 0 },
      90,
    );
    expect(writeTurn(core, disk, 100)).toEqual([]);
    expect(writeTurn(core, disk, 150)).toMatchObject([{ requestId: 'b' }]);
    expect(core.book.unwritten.oldestMs).toBe(Number.POSITIVE_INFINITY);
    const again = restarted(disk, 160);
    const [job] = again.lease(WISH, 160);
    expect(job).toMatchObject({ requestId: 'b', bytes: 3, work: null });
    expect(disk.work(job!)).toEqual(Uint8Array.of(1, 2, 3));
  });

  test('a turn of writing is bounded', () => {
    const core = new PrefillQueueCore({ boot: 'b' });
    const work = new Uint8Array(LIMITS.prefillWriteBytes / 2);
    for (const id of ['a', 'b', 'c', 'd', 'e']) core.enqueue(newJob(id, { work }), 0);
    const disk = emptyDisk();
    expect([1, 2, 3, 4].map(() => writeTurn(core, disk, 1_000).length)).toEqual([2, 2, 1, 0]);
  });

  test('a lease outlives a restart, and no life gives a lease of another', () => {
    const core = new PrefillQueueCore({ boot: 'b' });
    const disk = emptyDisk();
    core.enqueue(newJob('a'), 0);
    const lease = core.lease(WISH, 0)[0]!.lease!.id;
    writeTurn(core, disk, 1_000);
    const again = restarted(disk, 2_000);
    expect(again.report({ lease, kind: 'renew' }, 2_000 + LIMITS.prefillLeaseMs - 1)).toBe('held');
    expect(again.report({ lease, kind: 'complete', cachedTokens: 0 }, 2_001 + LIMITS.prefillLeaseMs)).toBe(
      'done',
    );
    again.enqueue(newJob('b'), 2_001 + LIMITS.prefillLeaseMs);
    expect(again.lease(WISH, 2_001 + LIMITS.prefillLeaseMs)[0]!.lease!.id).not.toBe(lease);
  });
});

const WORKERS = ['p1', 'p2', 'p3'];
const MODELS = ['m', 'n'];
const IDS = ['a', 'b', 'c', 'd', 'e', 'f'];
const PRODUCERS = ['d1', 'd2'];
const pick = (values: readonly string[]) => fc.constantFrom(...values);

const command = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('enqueue' as const),
      id: pick(IDS),
      producer: pick(PRODUCERS),
      model: pick(MODELS),
      priority: fc.integer({ min: -1, max: 1 }),
      timeoutMs: fc.constantFrom(500, 4_000, 30_000, 10_000_000),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('lease' as const),
      worker: pick(WORKERS),
      model: pick(MODELS),
      most: fc.integer({ min: 1, max: 3 }),
      forgets: fc.boolean(),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('report' as const),
      lease: fc.nat(),
      kind: fc.constantFrom<NaiveReport>(
        'begin',
        'renew',
        'complete',
        'complete',
        'return',
        'fail',
        'fail-finally',
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('cancel' as const), id: pick(IDS), producer: pick(PRODUCERS) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lost' as const), worker: pick(WORKERS) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      ms: fc.constantFrom(1, 99, 100, 700, 5_000, 61_000),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('write' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('dead' as const),
      action: fc.constantFrom('requeue' as const, 'drop' as const),
    }),
  },
);
type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;

/** Both queues, the same history. */
class Twins {
  readonly naive = new NaiveQueue();
  readonly disk = emptyDisk();
  readonly ends: string[] = [];
  /** Leases that were given, in order: ours and the naive one's. */
  readonly leases: { ours: string; naive: number; worker: string }[] = [];
  #lives = 0;
  core = this.#newCore();
  nowMs = 1_000;

  #newCore(): PrefillQueueCore {
    return new PrefillQueueCore({ boot: `b${this.#lives}`, ended: (outcome) => this.ends.push(outcome) });
  }

  run(step: Command): void {
    const { core, naive, nowMs } = this;
    switch (step.do) {
      case 'enqueue': {
        const { id, producer, model, priority, timeoutMs } = step;
        const answer = core.enqueue(newJob(id, { producer, model, priority, timeoutMs }), nowMs);
        const expected = naive.enqueue(`${id}@${producer}`, { producer, model, priority, timeoutMs }, nowMs);
        expect(answer).toMatchObject({ state: expected });
        break;
      }
      case 'lease': {
        const known = step.forgets ? [] : this.leases.filter(({ worker }) => worker === step.worker);
        core.holds(
          step.worker,
          known.map(({ ours }) => ours),
          nowMs,
        );
        naive.holds(
          step.worker,
          known.map((lease) => lease.naive),
          nowMs,
        );
        const jobs = core.lease({ ...step, grpcAddress: '' }, nowMs);
        const expected = naive.lease(step.worker, step.model, step.most, nowMs);
        expect(jobs.map(({ id }) => id)).toEqual(expected.map(({ id }) => id));
        jobs.forEach((job, i) => {
          this.leases.push({ ours: job.lease!.id, naive: expected[i]!.lease, worker: step.worker });
        });
        break;
      }
      case 'report': {
        const lease = this.leases[this.leases.length === 0 ? 0 : step.lease % this.leases.length];
        if (lease === undefined) break;
        const { kind } = step;
        const verdict =
          kind === 'fail' || kind === 'fail-finally'
            ? core.report(
                { lease: lease.ours, kind: 'fail', reason: 'no', final: kind === 'fail-finally' },
                nowMs,
              )
            : kind === 'complete'
              ? core.report({ lease: lease.ours, kind, cachedTokens: 0 }, nowMs)
              : core.report({ lease: lease.ours, kind }, nowMs);
        expect(verdict).toBe(naive.report(lease.naive, kind, nowMs));
        break;
      }
      case 'cancel':
        core.cancel(step.producer, [step.id], nowMs);
        naive.cancel(`${step.id}@${step.producer}`, nowMs);
        break;
      case 'lost':
        core.holds(step.worker, [], nowMs);
        naive.holds(step.worker, [], nowMs);
        break;
      case 'pass':
        this.nowMs += step.ms;
        break;
      case 'write':
        core.settle(nowMs);
        naive.pass(nowMs);
        naive.write(writeTurn(core, this.disk, nowMs).map(({ seq }) => seq));
        break;
      case 'restart':
        this.#lives++;
        this.core = this.#newCore();
        for (const job of this.disk.load(LIMITS.prefillDeadMs)) this.core.restore(job, nowMs);
        naive.restart(nowMs);
        break;
      case 'dead': {
        core.settle(nowMs);
        const ids = [...core.book.dead].map(({ id }) => id);
        const done = step.action === 'requeue' ? core.requeueDead(ids, nowMs) : core.dropDead(ids, nowMs);
        expect(done).toBe(naive.dead(step.action, nowMs));
        break;
      }
    }
    this.compare();
  }

  compare(): void {
    const { core, naive, nowMs } = this;
    core.settle(nowMs);
    naive.pass(nowMs);
    const ours = [...core.book.all()].map(({ id, seq, phase, deliveries, lease }) => ({
      id,
      seq,
      deliveries,
      state: phase.kind === 'ended' ? phase.outcome : phase.kind === 'leased' ? 'taken' : phase.kind,
      worker: lease?.worker ?? '',
    }));
    const theirs = naive.jobs.map(({ id, order, state, deliveries, worker }) => ({
      id,
      seq: order,
      deliveries,
      state,
      worker,
    }));
    const byOrder = (a: { seq: number }, b: { seq: number }) => a.seq - b.seq;
    expect(ours.sort(byOrder)).toEqual(theirs.sort(byOrder));
    expect(this.ends).toEqual(naive.ends.map(({ state }) => state));
    for (const model of MODELS) {
      const waiting = naive.jobs.filter(
        (job) => job.model === model && ['queued', 'resting'].includes(job.state),
      );
      expect(core.book.waiting(model)).toBe(waiting.length);
    }
    expect(core.book.bytes).toBe(3 * [...core.book.all()].filter(isLive).length);
  }
}

test('any history goes as in the naive queue', () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 60 }), (steps) => {
      const twins = new Twins();
      for (const step of steps) twins.run(step);
    }),
    { numRuns: 400 },
  );
});

test('after any history each job comes to one end when somebody computes what is left', () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 40 }), (steps) => {
      const twins = new Twins();
      for (const step of steps) twins.run(step);
      const begun = twins.naive.ends.length;
      const left = [...twins.core.book.all()].filter(isLive).map(({ id }) => id);
      twins.nowMs += LIMITS.prefillLeaseMs;
      for (let round = 0; round <= LIMITS.prefillDeliveries; round++) {
        for (const model of MODELS) twins.run({ do: 'lease', worker: 'p9', model, most: 99, forgets: false });
        for (let lease = 0; lease < twins.leases.length; lease++)
          twins.run({ do: 'report', lease, kind: 'complete' });
        twins.nowMs += LIMITS.prefillRestMs;
      }
      const ends = twins.naive.ends.slice(begun).map(({ id }) => id);
      expect(ends.sort()).toEqual(left.sort());
    }),
    { numRuns: 200 },
  );
});

test('once all is written, a restart knows all', () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 40 }), (steps) => {
      const twins = new Twins();
      for (const step of steps) twins.run(step);
      const kept = [...twins.core.book.all()]
        .filter(isKept)
        .map(({ id, deliveries }) => ({ id, deliveries }));
      const jobs = twins.core.book.unwritten.take(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
      twins.disk.write(jobs);
      const again = [...restarted(twins.disk, twins.nowMs, 'again').book.all()];
      const order = (a: { id: string }, b: { id: string }) => a.id.localeCompare(b.id);
      expect(again.map(({ id, deliveries }) => ({ id, deliveries })).sort(order)).toEqual(kept.sort(order));
    }),
    { numRuns: 200 },
  );
});
