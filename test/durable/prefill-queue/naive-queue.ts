/**
 * The prefill queue as a list that is searched: slow, obvious, written from the contract (`prefill_queue.proto`) alone. What it
 * says is what the real one must say. Its disk is a copy of jobs, made when the test says so.
 */
import { LIMITS } from '../../../durable/runtime/limits.ts';

export interface NaiveJob {
  id: string;
  producer: string;
  model: string;
  priority: number;
  order: number;
  timeoutMs: number;
  deadlineMs: number;
  deliveries: number;
  state: 'queued' | 'resting' | 'taken' | 'ready' | 'cancelled' | 'expired' | 'dead';
  /** Of a rest, a lease, or what is remembered. */
  untilMs: number;
  worker: string;
  begun: boolean;
  /** Number of its latest lease; 0: none yet. */
  lease: number;
}

export type NaiveReport = 'begin' | 'renew' | 'complete' | 'return' | 'fail' | 'fail-finally';

const LIVE = ['queued', 'resting', 'taken'];

export class NaiveQueue {
  jobs: NaiveJob[] = [];
  disk: NaiveJob[] = [];
  /** Ends of each job, in all lives. */
  readonly ends: { id: string; order: number; state: string }[] = [];
  #order = 0;
  #leases = 0;

  enqueue(
    id: string,
    fields: Pick<NaiveJob, 'producer' | 'model' | 'priority' | 'timeoutMs'>,
    nowMs: number,
  ): string {
    this.pass(nowMs);
    const known = this.jobs.find((job) => job.id === id);
    if (known && known.state !== 'cancelled' && known.state !== 'expired') return shown(known);
    this.jobs = this.jobs.filter((job) => job !== known);
    const timeoutMs = Math.min(fields.timeoutMs, LIMITS.prefillJobMs);
    this.jobs.push({
      ...fields,
      id,
      timeoutMs,
      order: ++this.#order,
      deadlineMs: nowMs + timeoutMs,
      deliveries: 0,
      state: 'queued',
      untilMs: 0,
      worker: '',
      begun: false,
      lease: 0,
    });
    return 'queued';
  }

  /** `known`: numbers of the leases that the worker says it has. */
  holds(worker: string, known: readonly number[], nowMs: number): void {
    this.pass(nowMs);
    for (const job of this.jobs.filter((job) => job.state === 'taken' && job.worker === worker)) {
      if (known.includes(job.lease)) job.untilMs = nowMs + LIMITS.prefillLeaseMs;
      else this.#back(job, 'queued', nowMs);
    }
  }

  lease(worker: string, model: string, most: number, nowMs: number): NaiveJob[] {
    this.pass(nowMs);
    const waiting = this.jobs.filter((job) => job.state === 'queued' && job.model === model);
    const first = waiting.sort((a, b) => b.priority - a.priority || a.order - b.order).slice(0, most);
    for (const job of first) {
      job.deliveries++;
      Object.assign(job, {
        state: 'taken',
        begun: false,
        worker,
        untilMs: nowMs + LIMITS.prefillLeaseMs,
        lease: ++this.#leases,
      });
    }
    return first;
  }

  report(lease: number, kind: NaiveReport, nowMs: number): string {
    this.pass(nowMs);
    const job = this.jobs.find((job) => job.lease === lease);
    if (!job || job.state === 'dead') return 'superseded';
    if (job.state === 'ready') return 'done';
    if (job.state === 'cancelled' || job.state === 'expired') return 'cancelled';
    if (job.state !== 'taken') return 'superseded';
    if (kind === 'renew' || kind === 'begin') {
      if (kind === 'begin') job.begun = true;
      job.untilMs = nowMs + LIMITS.prefillLeaseMs;
      return 'held';
    }
    if (kind === 'complete') {
      this.#end(job, 'ready', nowMs);
      return 'done';
    }
    if (kind === 'return') {
      job.deliveries--;
      job.state = 'queued';
    } else if (kind === 'fail') this.#back(job, 'resting', nowMs);
    else this.#end(job, 'dead', nowMs);
    return 'superseded';
  }

  cancel(id: string, nowMs: number): void {
    this.pass(nowMs);
    for (const job of this.jobs)
      if (job.id === id && LIVE.includes(job.state)) this.#end(job, 'cancelled', nowMs);
  }

  dead(action: 'requeue' | 'drop', nowMs: number): number {
    this.pass(nowMs);
    const dead = this.jobs.filter(({ state }) => state === 'dead');
    if (action === 'drop') this.jobs = this.jobs.filter(({ state }) => state !== 'dead');
    else {
      for (const job of dead)
        Object.assign(job, { state: 'queued', deliveries: 0, deadlineMs: nowMs + job.timeoutMs });
    }
    return dead.length;
  }

  /** One moment after the other: what happens in each. */
  pass(nowMs: number): void {
    for (;;) {
      const due = this.jobs.map((job) => ({ job, atMs: dueMs(job) })).filter(({ atMs }) => atMs <= nowMs);
      const next = due.sort((a, b) => a.atMs - b.atMs || a.job.order - b.job.order)[0];
      if (next === undefined) return;
      const { job, atMs } = next;
      if (!LIVE.includes(job.state)) this.jobs = this.jobs.filter((other) => other !== job);
      else if (job.deadlineMs <= atMs) this.#end(job, 'expired', atMs);
      else if (job.state === 'taken') this.#back(job, 'queued', atMs);
      else job.state = 'queued';
    }
  }

  /** The disk has these jobs as they are now. */
  write(orders: readonly number[]): void {
    this.disk = this.disk.filter(({ order }) => !orders.includes(order));
    for (const job of this.jobs) {
      const isKept = LIVE.includes(job.state) || job.state === 'dead';
      if (orders.includes(job.order) && isKept) this.disk.push({ ...job });
    }
  }

  restart(nowMs: number): void {
    this.jobs = this.disk.map((job) => ({ ...job }));
    this.#order = Math.max(0, ...this.jobs.map(({ order }) => order));
    for (const job of this.jobs) {
      if (job.state === 'resting') job.state = 'queued';
      if (job.state === 'taken') job.untilMs = nowMs + LIMITS.prefillLeaseMs;
    }
  }

  #back(job: NaiveJob, state: 'queued' | 'resting', nowMs: number): void {
    if (job.deliveries >= LIMITS.prefillDeliveries) this.#end(job, 'dead', nowMs);
    else Object.assign(job, { state, untilMs: nowMs + LIMITS.prefillRestMs });
  }

  #end(job: NaiveJob, state: 'ready' | 'cancelled' | 'expired' | 'dead', nowMs: number): void {
    this.ends.push({ id: job.id, order: job.order, state });
    Object.assign(job, {
      state,
      untilMs: nowMs + (state === 'dead' ? LIMITS.prefillDeadMs : LIMITS.prefillEndedMs),
    });
  }
}

const shown = ({ state, begun }: NaiveJob): string =>
  state === 'resting' || (state === 'taken' && !begun) ? 'queued' : state;

function dueMs({ state, untilMs, deadlineMs }: NaiveJob): number {
  if (state === 'queued') return deadlineMs;
  return LIVE.includes(state) ? Math.min(untilMs, deadlineMs) : untilMs;
}
