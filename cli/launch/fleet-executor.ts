/**
 * Connector `process`: carries out what the planner orders, with workers of this machine, and says what became of it.
 *
 * An order is counts, and what is done is the difference to what is there, so that the same order twice starts nothing twice
 * and a newer one simply goes on from here. Workers that came last leave first; they drain. An order has failed when a worker
 * that it wanted does not come to serve; the others stay. When the platform is away (it restarts) the executor asks until it
 * is back, from the newest order on, and says again what it had no chance to say.
 */

import type { Counts } from '../../durable/planner/fleet.ts';
import { StatorError, toStatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import type { WorkerType } from './worker-places.ts';

export interface PlannerOrder {
  /** Rising. */
  id: number;
  counts: Counts;
  outcome: 'pending' | 'done' | 'failed';
}

export interface PlannerOrders {
  /** The newest order after `after`; null when none came for a while. */
  next(after: number, stop: AbortSignal): Promise<PlannerOrder | null>;
  /** `failed` says why, null: done. */
  complete(id: number, failed: string | null, stop: AbortSignal): Promise<void>;
}

/** Workers by their places (`deployment.ts`). */
export interface Machine {
  addWorker(role: WorkerType): number;
  started(place: number): Promise<void>;
  workersOf(role: WorkerType): number[];
  /** Resolves when its process is gone. */
  removeWorker(place: number): Promise<void>;
}

/** What the executor did, for a log. */
export type ExecutorEvent =
  | { event: 'order'; id: number; counts: Counts; starts: number; stops: number }
  | { event: 'order_ended'; id: number; failed: string | null }
  | { event: 'planner_away'; message: string };

export interface ExecutorOptions {
  orders: PlannerOrders;
  machine: Machine;
  /** Runs a task after a time; the result takes it back. */
  after(delayMs: number, task: () => void): () => void;
  report(event: ExecutorEvent): void;
  /** How long a worker may take to serve. */
  startMs?: number;
}

const ROLES = [
  ['worker', 'aggregated'],
  ['prefill', 'prefill'],
  ['decode', 'decode'],
] as const;

/** Between two attempts while the platform is away. */
const AWAY_MS = { first: 50, most: 2_000 };

export class FleetExecutor {
  readonly #options: ExecutorOptions;
  readonly #stop = new AbortController();
  /** The order that is being carried out; null: none is. */
  #current: number | null = null;

  constructor(options: ExecutorOptions) {
    this.#options = options;
  }

  /** Executes until `stop`; never throws. */
  async run(): Promise<void> {
    let after = 0;
    let pauseMs = AWAY_MS.first;
    while (!this.#stop.signal.aborted) {
      try {
        const order = await this.#options.orders.next(after, this.#stop.signal);
        pauseMs = AWAY_MS.first;
        if (order === null || this.#stop.signal.aborted) continue;
        after = order.id;
        this.#take(order);
      } catch (thrown) {
        if (this.#stop.signal.aborted) return;
        this.#options.report({ event: 'planner_away', message: toStatorError(thrown).message });
        // It may have forgotten its orders and count anew.
        after = 0;
        await this.#pause(pauseMs);
        pauseMs = Math.min(2 * pauseMs, AWAY_MS.most);
      }
    }
  }

  /** Nothing is started or stopped any more; workers stay as they are. */
  stop(): void {
    this.#stop.abort();
  }

  /** An order that somebody has ended is history: what it wanted came about, or did not. */
  #take(order: PlannerOrder): void {
    const { id, counts, outcome } = order;
    if (outcome !== 'pending' || id === this.#current) return;
    this.#current = id;
    const ends: Promise<void>[] = [];
    let starts = 0;
    let stops = 0;
    for (const [role, type] of ROLES) {
      const wanted = counts[role];
      if (wanted === undefined) continue;
      const there = this.#options.machine.workersOf(type);
      for (let more = there.length; more < Math.min(wanted, LIMITS.machineWorkers); more++) {
        there.push(this.#options.machine.addWorker(type));
        starts++;
      }
      for (const place of there.splice(wanted)) {
        ends.push(this.#options.machine.removeWorker(place));
        stops++;
      }
      ends.push(...there.map((place) => this.#serves(place)));
      if (wanted > LIMITS.machineWorkers) ends.push(Promise.reject(tooMany(wanted)));
    }
    this.#options.report({ event: 'order', id, counts, starts, stops });
    void this.#end(id, ends);
  }

  /** A worker that takes too long is given up, or it would come when nobody counts on it. */
  async #serves(place: number): Promise<void> {
    const { after, machine, startMs = LIMITS.workerStartMs } = this.#options;
    const late = Promise.withResolvers<never>();
    const cancel = after(startMs, () => {
      late.reject(new StatorError('deadline_exceeded', `a worker did not serve within ${startMs / 1000} s`));
      void machine.removeWorker(place);
    });
    try {
      await Promise.race([machine.started(place), late.promise]);
    } finally {
      cancel();
    }
  }

  async #end(id: number, ends: readonly Promise<void>[]): Promise<void> {
    const outcomes = await Promise.allSettled(ends);
    // A newer order has other wishes, and the planner asks about that one.
    if (this.#current !== id || this.#stop.signal.aborted) return;
    const lost = outcomes.find((outcome) => outcome.status === 'rejected');
    const failed = lost === undefined ? null : toStatorError(lost.reason).message;
    this.#options.report({ event: 'order_ended', id, failed });
    await this.#tell(id, failed);
    if (this.#current === id) this.#current = null;
  }

  /** Until it is heard, or nobody asks any more. */
  async #tell(id: number, failed: string | null): Promise<void> {
    for (let pauseMs = AWAY_MS.first; ; pauseMs = Math.min(2 * pauseMs, AWAY_MS.most)) {
      try {
        await this.#options.orders.complete(id, failed, this.#stop.signal);
        return;
      } catch (thrown) {
        if (this.#stop.signal.aborted || this.#current !== id) return;
        this.#options.report({ event: 'planner_away', message: toStatorError(thrown).message });
        await this.#pause(pauseMs);
      }
    }
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => void this.#options.after(delayMs, resolve));
  }
}

const tooMany = (wanted: number) =>
  new StatorError(
    'overloaded',
    `${wanted} workers were ordered; at most ${LIMITS.machineWorkers} run on a machine`,
  );
