/** The executor against orders of a script and workers of a list: what it starts and stops, and what it says of that. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ExecutorEvent,
  FleetExecutor,
  type Machine,
  type PlannerOrder,
} from '../../../cli/launch/fleet-executor.ts';
import { WorkerPlaces, type WorkerType } from '../../../cli/launch/worker-places.ts';
import type { Counts } from '../../../durable/planner/fleet.ts';
import { StatorError } from '../../../durable/runtime/errors.ts';

/** All promises that can settle without anything from outside have settled. */
const turns = async () => {
  for (let i = 0; i < 30; i++) await Promise.resolve();
};

/** A machine whose workers serve, fail and leave when the test says so. */
class ScriptedMachine implements Machine {
  readonly places = new WorkerPlaces();
  readonly started_: number[] = [];
  readonly leaving = new Map<number, () => void>();

  addWorker(role: WorkerType): number {
    const place = this.places.take(role);
    this.started_.push(place);
    return place;
  }

  started(place: number): Promise<void> {
    return this.places.started(place);
  }

  workersOf(role: WorkerType): number[] {
    return this.places.staying(role);
  }

  removeWorker(place: number): Promise<void> {
    if (!this.places.leaves(place)) return Promise.resolve();
    return new Promise((resolve) => {
      this.leaving.set(place, () => {
        this.leaving.delete(place);
        this.places.left(place);
        resolve();
      });
    });
  }
}

/** The planner's side: one newest order, as the outbox has it. */
class ScriptedOrders {
  newest: PlannerOrder | null = null;
  readonly told: [number, string | null][] = [];
  away = false;
  #wake: (() => void) | null = null;

  put(id: number, counts: Counts): void {
    this.newest = { id, counts, outcome: 'pending' };
    this.poke();
  }

  poke(): void {
    this.#wake?.();
  }

  async next(after: number): Promise<PlannerOrder | null> {
    if (this.away) throw new StatorError('worker_unavailable', 'away');
    if (this.newest !== null && this.newest.id > after) return { ...this.newest };
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    if (this.away) throw new StatorError('worker_unavailable', 'away');
    return this.newest !== null && this.newest.id > after ? { ...this.newest } : null;
  }

  async complete(id: number, failed: string | null): Promise<void> {
    if (this.away) throw new StatorError('worker_unavailable', 'away');
    this.told.push([id, failed]);
    if (this.newest?.id === id) this.newest.outcome = failed === null ? 'done' : 'failed';
  }
}

function begin() {
  const machine = new ScriptedMachine();
  const orders = new ScriptedOrders();
  const events: ExecutorEvent[] = [];
  const timers = new Map<number, { delayMs: number; task: () => void }>();
  let timer = 0;
  const executor = new FleetExecutor({
    orders,
    machine,
    after(delayMs, task) {
      const number = timer++;
      timers.set(number, { delayMs, task });
      return () => void timers.delete(number);
    },
    report: (event) => events.push(event),
    startMs: 60_000,
  });
  void executor.run();
  /** Ends all waits that are at most so long. */
  const elapse = async (mostMs: number) => {
    for (const [number, { delayMs, task }] of [...timers]) {
      if (delayMs > mostMs) continue;
      timers.delete(number);
      task();
    }
    await turns();
  };
  return { machine, orders, events, executor, elapse };
}

describe('the executor of orders', () => {
  it('starts what is missing and says done once it serves', async () => {
    const { machine, orders } = begin();
    orders.put(1, { worker: 2 });
    await turns();
    expect(machine.started_).toEqual([0, 1]);
    machine.places.serves(0);
    await turns();
    expect(orders.told).toEqual([]);
    machine.places.serves(1);
    await turns();
    expect(orders.told).toEqual([[1, null]]);
  });

  it('stops those that came last, and says done once their processes are gone', async () => {
    const { machine, orders } = begin();
    for (let i = 0; i < 3; i++) machine.places.serves(machine.addWorker('aggregated'));
    orders.put(7, { worker: 1 });
    await turns();
    expect([...machine.leaving.keys()]).toEqual([1, 2]);
    machine.leaving.get(1)!();
    await turns();
    expect(orders.told).toEqual([]);
    machine.leaving.get(2)!();
    await turns();
    expect(orders.told).toEqual([[7, null]]);
  });

  it('goes to zero, and from zero', async () => {
    const { machine, orders } = begin();
    machine.places.serves(machine.addWorker('aggregated'));
    orders.put(1, { worker: 0 });
    await turns();
    machine.leaving.get(0)!();
    await turns();
    orders.put(2, { worker: 1 });
    await turns();
    machine.places.serves(0);
    await turns();
    expect(orders.told).toEqual([
      [1, null],
      [2, null],
    ]);
    expect(machine.started_).toEqual([0, 0]);
  });

  it('does not count on a worker that still drains', async () => {
    const { machine, orders } = begin();
    machine.places.serves(machine.addWorker('aggregated'));
    orders.put(1, { worker: 0 });
    await turns();
    orders.put(2, { worker: 1 });
    await turns();
    expect(machine.started_).toEqual([0, 1]);
    machine.places.serves(1);
    await turns();
    expect(orders.told).toEqual([[2, null]]);
  });

  it('leaves the roles alone that an order does not name', async () => {
    const { machine, orders } = begin();
    machine.places.serves(machine.addWorker('prefill'));
    machine.places.serves(machine.addWorker('aggregated'));
    orders.put(1, { prefill: 1, decode: 2 });
    await turns();
    expect(machine.workersOf('aggregated')).toEqual([1]);
    expect(machine.workersOf('decode')).toEqual([2, 3]);
  });

  it('says why a worker did not come, and keeps the others', async () => {
    const { machine, orders } = begin();
    orders.put(1, { worker: 2 });
    await turns();
    machine.places.serves(0);
    machine.places.fails(1, '--model: /x.gguf is not there');
    machine.places.left(1);
    await turns();
    expect(orders.told).toEqual([[1, '--model: /x.gguf is not there']]);
    expect(machine.workersOf('aggregated')).toEqual([0]);
  });

  it('gives up a worker that does not serve in time, and stops it', async () => {
    const { machine, orders, elapse } = begin();
    orders.put(1, { worker: 1 });
    await turns();
    await elapse(60_000);
    expect(orders.told).toEqual([[1, 'a worker did not serve within 60 s']]);
    expect([...machine.leaving.keys()]).toEqual([0]);
  });

  it('says how many a machine can have', async () => {
    const { machine, orders } = begin();
    orders.put(1, { worker: 65 });
    await turns();
    expect(machine.started_.length).toBe(64);
    for (const place of machine.started_) machine.places.serves(place);
    await turns();
    expect(orders.told).toEqual([[1, '65 workers were ordered; at most 64 run on a machine']]);
  });

  it('starts nothing twice when the platform restarts in the middle of an order', async () => {
    const { machine, orders, elapse } = begin();
    orders.put(3, { worker: 2 });
    await turns();
    orders.away = true;
    orders.poke();
    await turns();
    machine.places.serves(0);
    machine.places.serves(1);
    await turns();
    orders.away = false;
    await elapse(2_000);
    expect(machine.started_).toEqual([0, 1]);
    expect(orders.told).toEqual([[3, null]]);
  });

  it('carries out the newest order of a planner that counts anew', async () => {
    const { machine, orders, elapse } = begin();
    orders.put(900, { worker: 1 });
    await turns();
    machine.places.serves(0);
    await turns();
    orders.away = true;
    orders.poke();
    await turns();
    orders.away = false;
    orders.newest = { id: 1, counts: { worker: 2 }, outcome: 'pending' };
    await elapse(2_000);
    expect(machine.started_).toEqual([0, 1]);
  });

  it('takes an order that has ended for history', async () => {
    const { machine, orders } = begin();
    orders.newest = { id: 4, counts: { worker: 5 }, outcome: 'done' };
    await turns();
    expect(machine.started_).toEqual([]);
    expect(orders.told).toEqual([]);
  });

  it('says nothing of an order that a newer one replaced', async () => {
    const { machine, orders } = begin();
    orders.put(1, { worker: 3 });
    await turns();
    orders.put(2, { worker: 1 });
    await turns();
    expect(machine.started_).toEqual([0, 1, 2]);
    machine.places.serves(0);
    for (const gone of [...machine.leaving.values()]) gone();
    await turns();
    expect(orders.told).toEqual([[2, null]]);
  });

  it('ends with the newest counts, whatever comes in between', async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('order' as const), worker: fc.nat(5) }),
      fc.constant({ kind: 'serve' as const }),
      fc.constant({ kind: 'leave' as const }),
      fc.constant({ kind: 'away' as const }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const { machine, orders, executor, elapse } = begin();
        const serveAll = () => {
          for (const place of machine.workersOf('aggregated')) machine.places.serves(place);
        };
        let id = 0;
        let wanted = 0;
        for (const { kind, ...rest } of steps) {
          if (kind === 'order') {
            wanted = (rest as { worker: number }).worker;
            orders.put(++id, { worker: wanted });
          } else if (kind === 'serve') serveAll();
          else if (kind === 'leave') [...machine.leaving.values()][0]?.();
          else {
            orders.away = !orders.away;
            orders.poke();
          }
          await turns();
        }
        orders.away = false;
        orders.poke();
        await elapse(2_000);
        await elapse(2_000);
        serveAll();
        for (const gone of [...machine.leaving.values()]) gone();
        await elapse(2_000);
        expect(machine.workersOf('aggregated').length).toBe(wanted);
        if (id > 0) expect(orders.told.at(-1)).toEqual([id, null]);
        executor.stop();
        orders.poke();
      }),
      { numRuns: 100 },
    );
  });
});
