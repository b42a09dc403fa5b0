/**
 * What functions rely on in a PrefillQueue object, whatever runs it: `test/durable/prefill-queue` runs this on the polyfill,
 * `test/workers/durable` in workerd. Time is not moved here.
 */
import { expect, test } from 'vitest';
import type { LeaseWish, NewPrefillJob } from '../../durable/prefill-queue/rpc.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import type { PrefillQueueStub } from '../../functions/env.ts';

export const newJob = (requestId: string, others: Partial<NewPrefillJob> = {}): NewPrefillJob => ({
  requestId,
  producer: 'd1',
  model: 'm',
  priority: 0,
  timeoutMs: 30_000,
  work: Uint8Array.of(1, 2, 3),
  ...others,
});

export const wish = (others: Partial<LeaseWish> = {}): LeaseWish => ({
  worker: 'p1',
  grpcAddress: 'p1:7',
  model: 'm',
  most: 8,
  waitMs: 0,
  holding: [],
  ...others,
});

/** From the beginning, without waiting. */
export const NOW = { boot: '', after: 0, waitMs: 0 };

export function prefillQueueContract(stub: (name: string) => PrefillQueueStub): void {
  test('a job goes from its producer to a worker and back', async () => {
    const queue = stub('a');
    const { boot } = (await queue.enqueue(newJob('r1'))) as { boot: string };
    expect(await queue.enqueue(newJob('r1'))).toEqual({ boot, state: 'queued' });
    const { jobs, leaseMs } = await queue.lease(wish());
    expect(jobs).toMatchObject([
      { requestId: 'r1', producer: 'd1', delivery: 1, work: Uint8Array.of(1, 2, 3) },
    ]);
    expect(leaseMs).toBe(LIMITS.prefillLeaseMs);
    const { lease } = jobs[0]!;
    // Its producer hears of the worker when that can be asked for blocks.
    expect((await queue.watch('d1', NOW)).changes).toMatchObject([{ requestId: 'r1', state: 'queued' }]);
    expect(await queue.report([{ lease, kind: 'begin' }])).toEqual(['held']);
    const taken = await queue.watch('d1', NOW);
    expect(taken.changes).toMatchObject([
      { requestId: 'r1', state: 'taken', worker: 'p1', grpcAddress: 'p1:7' },
    ]);
    expect(await queue.report([{ lease, kind: 'renew' }])).toEqual(['held']);
    expect(
      await queue.report([
        { lease, kind: 'complete', cachedTokens: 5 },
        { lease: 'x-1', kind: 'complete', cachedTokens: 5 },
      ]),
    ).toEqual(['done', 'superseded']);
    const since = { boot, after: taken.seq, waitMs: 0 };
    const ready = await queue.watch('d1', since);
    expect(ready.changes).toMatchObject([{ requestId: 'r1', state: 'ready', worker: 'p1', cachedTokens: 5 }]);
    expect((await queue.watch('d1', { ...since, after: ready.seq })).changes).toEqual([]);
  });

  test('who waits for a job gets it as soon as it is there, the longest waiting first', async () => {
    const queue = stub('b');
    const first = queue.lease(wish({ worker: 'p1', waitMs: 1_000, most: 1 }));
    const second = queue.lease(wish({ worker: 'p2', waitMs: 1_000, most: 1 }));
    await queue.status();
    await queue.enqueue(newJob('r1'));
    await queue.enqueue(newJob('r2'));
    expect((await first).jobs).toMatchObject([{ requestId: 'r1' }]);
    expect((await second).jobs).toMatchObject([{ requestId: 'r2' }]);
  });

  test('who watches hears of a change as soon as it happens', async () => {
    const queue = stub('c');
    const { boot } = (await queue.enqueue(newJob('r1'))) as { boot: string };
    const { seq } = await queue.watch('d1', { ...NOW, boot });
    const watched = queue.watch('d1', { boot, after: seq, waitMs: 1_000 });
    const { jobs } = await queue.lease(wish());
    await queue.report([{ lease: jobs[0]!.lease, kind: 'begin' }]);
    expect((await watched).changes).toMatchObject([{ state: 'taken' }]);
  });

  test('a later call of a worker ends the one that waits, and nothing is given to that', async () => {
    const queue = stub('d');
    const lost = queue.lease(wish({ waitMs: 1_000 }));
    await queue.status();
    const next = queue.lease(wish({ waitMs: 1_000 }));
    expect((await lost).jobs).toEqual([]);
    await queue.enqueue(newJob('r1'));
    expect((await next).jobs).toMatchObject([{ requestId: 'r1' }]);
  });

  test('a cancelled job is nobody’s, and its worker hears of it', async () => {
    const queue = stub('e');
    await queue.enqueue(newJob('r1'));
    await queue.enqueue(newJob('r2'));
    const { jobs } = await queue.lease(wish({ most: 1 }));
    await queue.cancel('d1', ['r1', 'r2', 'r3']);
    expect(await queue.report([{ lease: jobs[0]!.lease, kind: 'renew' }])).toEqual(['cancelled']);
    expect((await queue.lease(wish())).jobs).toEqual([]);
    expect(await queue.status()).toMatchObject({ models: [], bytes: 0 });
  });

  test('the jobs of a lost worker go to others at once', async () => {
    const queue = stub('f');
    await queue.enqueue(newJob('r1'));
    const [held] = (await queue.lease(wish())).jobs;
    await queue.workerLost('p1');
    expect((await queue.lease(wish({ worker: 'p2' }))).jobs).toMatchObject([
      { requestId: 'r1', delivery: 2 },
    ]);
    expect(await queue.report([{ lease: held!.lease, kind: 'complete', cachedTokens: 5 }])).toEqual([
      'superseded',
    ]);
  });

  test('a dead letter is listed, put back or dropped', async () => {
    const queue = stub('g');
    for (const id of ['r1', 'r2']) await queue.enqueue(newJob(id));
    for (const { lease } of (await queue.lease(wish())).jobs) {
      await queue.report([{ lease, kind: 'fail', reason: 'wrong layout', final: true }]);
    }
    const { deadLetters } = await queue.status();
    expect(deadLetters).toMatchObject([
      { id: 'r1@d1', reason: 'wrong layout', deliveries: 1, bytes: 3 },
      { id: 'r2@d1' },
    ]);
    expect(await queue.requeueDead(['r1@d1'])).toBe(1);
    expect(await queue.dropDead(['r2@d1', 'r1@d1'])).toBe(1);
    expect((await queue.lease(wish())).jobs).toMatchObject([{ requestId: 'r1', delivery: 1 }]);
    expect((await queue.status()).deadLetters).toEqual([]);
  });

  test('a job that is too large is refused with a value', async () => {
    const work = new Uint8Array(LIMITS.prefillJobBytes + 1);
    expect(await stub('h').enqueue(newJob('r1', { work }))).toMatchObject({ refused: 'body_too_large' });
  });
}
