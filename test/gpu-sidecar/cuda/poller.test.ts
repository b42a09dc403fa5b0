/** Who waits for a GPU is asked for turn after turn at first, then at the slow pace, and a newcomer never waits for the slow ones. */

import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { Poller } from '../../../gpu-sidecar/cuda/poller.ts';

/** Timers that a test runs by hand. */
function handTimers() {
  let turns: (() => void)[] = [];
  const slow = new Set<{ delayMs: number; run: () => void }>();
  return {
    slow,
    endOfTurn: (run: () => void) => void turns.push(run),
    after(delayMs: number, run: () => void) {
      const entry = { delayMs, run };
      slow.add(entry);
      return () => void slow.delete(entry);
    },
    turn(): number {
      const due = turns;
      turns = [];
      for (const run of due) run();
      return due.length;
    },
    elapse(): void {
      for (const entry of [...slow]) {
        slow.delete(entry);
        entry.run();
      }
    },
  };
}

describe('waiting for a GPU', () => {
  it('costs no turn when it is ready', async () => {
    const timers = handTimers();
    await new Poller(timers).until(() => true);
    expect(timers.turn()).toBe(0);
  });

  it('asks once a turn, then once a pause', async () => {
    const timers = handTimers();
    const poller = new Poller(timers);
    let asked = 0;
    let ready = false;
    const done = poller.until(() => {
      asked++;
      return ready;
    });
    while (timers.turn() > 0) {}
    expect(asked).toBe(LIMITS.gpuQuickPolls);
    expect([...timers.slow].map(({ delayMs }) => delayMs)).toEqual([LIMITS.gpuPollMs]);
    timers.elapse();
    expect(asked).toBe(LIMITS.gpuQuickPolls + 1);
    ready = true;
    timers.elapse();
    await done;
    expect(poller.waiting).toBe(0);
    expect(timers.slow.size).toBe(0);
    expect(timers.turn()).toBe(0);
  });

  it('is quick for a newcomer, and there is one next turn whatever comes', async () => {
    const timers = handTimers();
    const poller = new Poller(timers);
    const ready = new Set<number>();
    const waits = [poller.until(() => ready.has(0))];
    while (timers.turn() > 0) {}
    waits.push(
      poller.until(() => ready.has(1)),
      poller.until(() => ready.has(2)),
    );
    expect(timers.slow.size).toBe(0);
    expect(timers.turn()).toBe(1);
    ready.add(1).add(2);
    expect(timers.turn()).toBe(1);
    expect(timers.turn()).toBe(0);
    await Promise.all(waits.slice(1));
    expect(timers.slow.size).toBe(1);
    ready.add(0);
    timers.elapse();
    await waits[0];
  });

  it('ends with what the question throws, for that one only', async () => {
    const timers = handTimers();
    const poller = new Poller(timers);
    let broken = false;
    const other = poller.until(() => broken);
    const failing = poller.until(() => {
      if (broken) throw new Error('launch failed');
      return false;
    });
    timers.turn();
    broken = true;
    timers.turn();
    await expect(failing).rejects.toThrow('launch failed');
    await other;
    expect(poller.waiting).toBe(0);
  });
});
