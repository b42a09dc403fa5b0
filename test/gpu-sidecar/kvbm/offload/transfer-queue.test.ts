/** Who is next, how many go together, and what is turned away. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TransferQueue } from '../../../../gpu-sidecar/kvbm/offload/transfer-queue.ts';
import { soon } from '../synthetic-tiers.ts';

/** A queue of numbers whose batches end when `finish` says so. */
function queueOf(options: { concurrency?: number; batch?: number; capacity?: number }) {
  const batches: number[][] = [];
  const running: (() => void)[] = [];
  const queue = new TransferQueue<number>({
    run(batch) {
      batches.push([...batch]);
      return new Promise<void>((resolve) => running.push(resolve));
    },
    concurrency: 1,
    batch: 2,
    capacity: 100,
    ...options,
  });
  const finish = async () => {
    for (const end of running.splice(0)) end();
    await soon();
  };
  return { queue, batches, running, finish };
}

describe('a transfer queue', () => {
  it('takes higher priorities first, then who came first, in batches', async () => {
    const { queue, batches, finish } = queueOf({});
    for (const [key, priority] of [[1, 0], [2, 0], [3, 5], [4, 1], [5, 5]] as const) // biome-ignore format: pairs
      queue.offer(BigInt(key), key, priority);
    for (let i = 0; i < 3; i++) await finish();
    expect(batches).toEqual([[3, 5], [4, 1], [2]]);
  });

  it('runs no more batches at a time than it may', async () => {
    const { queue, batches, running, finish } = queueOf({ concurrency: 2, batch: 1 });
    for (let key = 0; key < 5; key++) queue.offer(BigInt(key), key);
    await soon();
    expect(running).toHaveLength(2);
    await finish();
    expect(batches).toHaveLength(4);
  });

  it('turns newcomers away when it is full, and lets no key wait twice', async () => {
    const { queue } = queueOf({ capacity: 2 });
    expect([queue.offer(1n, 1), queue.offer(1n, 1), queue.offer(2n, 2), queue.offer(3n, 3)]).toEqual([
      true,
      true,
      true,
      false,
    ]);
    expect(queue.waiting).toBe(2);
  });

  it('is idle when all has run, whatever was offered when', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(20), fc.nat(9), fc.boolean()), { maxLength: 40 }),
        async (offers) => {
          const { queue, batches, finish } = queueOf({ concurrency: 2, batch: 3 });
          let offered = 0;
          for (const [key, priority, pause] of offers) {
            const before = queue.waiting;
            queue.offer(BigInt(key), key, priority);
            offered += queue.waiting - before;
            if (pause) await finish();
          }
          let idle = false;
          const done = queue.whenIdle().then(() => {
            idle = true;
          });
          for (let i = 0; i < 50 && !idle; i++) await finish();
          await done;
          expect(batches.flat()).toHaveLength(offered);
        },
      ),
    );
  });

  it('is idle at once after what waited was forgotten', async () => {
    const { queue, batches } = queueOf({});
    queue.offer(1n, 1);
    const idle = queue.whenIdle();
    queue.clear();
    await idle;
    expect(batches).toEqual([]);
  });
});
