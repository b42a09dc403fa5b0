/**
 * The queue itself: enqueueing, leases, redelivery, dead letters. Pure: time is given to every call, and each call first does
 * what time has done until then. Who waits for a job or for a change is in `pollers.ts`; what is on disk in `unwritten.ts`
 * and `sql-disk.ts`.
 *
 * A live job is in its lane, at rest after a failure, or under the one lease that may end it; whatever is done under another
 * lease has no effect; a job has one end. Every call is O(log n) for each job that it touches.
 */

import { LIMITS } from '../runtime/limits.ts';
import { changeOf, dueMs, type Ending, isLive, type Job, jobId, stateOf } from './job.ts';
import { JobBook } from './job-book.ts';
import type { Enqueued, JobChange, LeaseWish, NewPrefillJob, Refused, Report, Verdict } from './rpc.ts';

export interface PrefillQueueOptions {
  /** Names this life of the object; leases carry it, so that no two lives give the same. */
  boot: string;
  /** A job has an end. */
  ended?: (outcome: Ending | 'dead') => void;
}

export class PrefillQueueCore {
  readonly boot: string;
  readonly book = new JobBook();
  /** Times that a job went back because its worker failed or fell silent. */
  redelivered = 0;
  readonly #ended: (outcome: Ending | 'dead') => void;
  #seq = 0;
  #leases = 0;

  constructor({ boot, ended = () => {} }: PrefillQueueOptions) {
    this.boot = boot;
    this.#ended = ended;
  }

  /** Takes a job back from disk. Who had a lease has it for another term. */
  restore(job: Job, nowMs: number): void {
    this.#seq = Math.max(this.#seq, job.seq);
    if (job.phase.kind === 'leased') job.phase.endsMs = leaseEndMs(nowMs);
    this.book.add(job, nowMs);
  }

  /** The same job twice is one job; the answer says how it stands. */
  enqueue(wanted: NewPrefillJob, nowMs: number): Enqueued | Refused {
    this.settle(nowMs);
    const { boot, book } = this;
    const id = jobId(wanted.requestId, wanted.producer);
    const known = book.get(id);
    if (known !== undefined && !isGivenUp(known)) return { boot, state: stateOf(known) };
    const bytes = wanted.work.byteLength;
    if (bytes > LIMITS.prefillJobBytes) return TOO_LARGE;
    if (!book.hasRoom(bytes)) return FULL;
    if (known !== undefined) book.remove(known, nowMs);
    const { producer, requestId, model, priority, work } = wanted;
    const timeoutMs = Math.min(wanted.timeoutMs, LIMITS.prefillJobMs);
    book.add(
      {
        id,
        requestId,
        producer,
        model,
        priority,
        seq: ++this.#seq,
        bytes,
        timeoutMs,
        work,
        queuedMs: nowMs,
        deadlineMs: nowMs + timeoutMs,
        deliveries: 0,
        phase: { kind: 'queued' },
        lease: null,
        reason: '',
        cachedTokens: 0,
        changed: 0,
        stored: false,
      },
      nowMs,
    );
    return { boot, state: 'queued' };
  }

  /** All leases that a worker knows it has: they are renewed. An answer that was lost on its way left others, which are over. */
  holds(worker: string, leases: readonly string[], nowMs: number): void {
    this.settle(nowMs);
    const known = new Set(leases);
    for (const job of [...this.book.ofWorker(worker)]) {
      if (known.has(job.lease!.id)) this.book.extend(job, leaseEndMs(nowMs));
      else this.#redeliver(job, 'its worker does not have it', 0, nowMs);
    }
  }

  /** The first jobs of a model, for this worker. */
  lease({ worker, grpcAddress, model, most }: Omit<LeaseWish, 'waitMs' | 'holding'>, nowMs: number): Job[] {
    this.settle(nowMs);
    const jobs: Job[] = [];
    let bytes = 0;
    for (let job = this.book.first(model); job && jobs.length < most; job = this.book.first(model)) {
      bytes += job.bytes;
      if (jobs.length > 0 && bytes > LIMITS.prefillAnswerBytes) break;
      job.deliveries++;
      const lease = { id: `${this.boot}-${++this.#leases}`, worker, grpcAddress };
      this.book.move(job, { kind: 'leased', endsMs: leaseEndMs(nowMs), begun: false }, nowMs, lease);
      jobs.push(job);
    }
    return jobs;
  }

  report(report: Report, nowMs: number): Verdict {
    this.settle(nowMs);
    const job = this.book.ofLease(report.lease);
    if (job?.phase.kind === 'ended') return job.phase.outcome === 'ready' ? 'done' : 'cancelled';
    if (job?.phase.kind !== 'leased') return 'superseded';
    switch (report.kind) {
      case 'renew':
        this.book.extend(job, leaseEndMs(nowMs));
        return 'held';
      case 'begin':
        this.book.move(job, { kind: 'leased', endsMs: leaseEndMs(nowMs), begun: true }, nowMs);
        return 'held';
      case 'complete':
        job.cachedTokens = report.cachedTokens;
        this.#end(job, 'ready', nowMs);
        return 'done';
      case 'return':
        job.deliveries--;
        this.book.move(job, { kind: 'queued' }, nowMs);
        return 'superseded';
      case 'fail':
        if (report.final) this.#bury(job, report.reason, nowMs);
        else this.#redeliver(job, report.reason, LIMITS.prefillRestMs, nowMs);
        return 'superseded';
    }
  }

  cancel(producer: string, requestIds: readonly string[], nowMs: number): void {
    this.settle(nowMs);
    for (const requestId of requestIds) {
      const job = this.book.get(jobId(requestId, producer));
      if (job !== undefined && isLive(job)) this.#end(job, 'cancelled', nowMs);
    }
  }

  /** What changed of a producer's jobs after change number `after`, in order. */
  changes(producer: string, after: number, nowMs: number): JobChange[] {
    this.settle(nowMs);
    const jobs = [...this.book.ofProducer(producer)].filter(({ changed }) => changed > after);
    return jobs.sort((a, b) => a.changed - b.changed).map(changeOf);
  }

  requeueDead(ids: readonly string[], nowMs: number): number {
    this.settle(nowMs);
    let count = 0;
    for (const job of this.#deadOf(ids)) {
      if (!this.book.hasRoom(job.bytes)) break;
      count++;
      job.deliveries = 0;
      job.queuedMs = nowMs;
      job.deadlineMs = nowMs + job.timeoutMs;
      this.book.move(job, { kind: 'queued' }, nowMs);
    }
    return count;
  }

  dropDead(ids: readonly string[], nowMs: number): number {
    this.settle(nowMs);
    const jobs = this.#deadOf(ids);
    for (const job of jobs) this.book.remove(job, nowMs);
    return jobs.length;
  }

  /** Does what time has done by now. */
  settle(nowMs: number): void {
    for (let job = this.book.due; job && dueMs(job) <= nowMs; job = this.book.due) {
      const atMs = dueMs(job);
      const { kind } = job.phase;
      if (!isLive(job)) this.book.remove(job, nowMs);
      else if (job.deadlineMs <= atMs) this.#end(job, 'expired', atMs);
      else if (kind === 'leased') this.#redeliver(job, 'its worker fell silent', 0, atMs);
      else this.book.move(job, { kind: 'queued' }, atMs);
    }
  }

  /** When `settle` has something to do; Infinity: never. */
  get dueMs(): number {
    const job = this.book.due;
    return job === undefined ? Number.POSITIVE_INFINITY : dueMs(job);
  }

  #redeliver(job: Job, reason: string, restMs: number, nowMs: number): void {
    if (job.deliveries >= LIMITS.prefillDeliveries) {
      this.#bury(job, reason, nowMs);
      return;
    }
    this.redelivered++;
    job.reason = reason;
    this.book.move(
      job,
      restMs === 0 ? { kind: 'queued' } : { kind: 'resting', untilMs: nowMs + restMs },
      nowMs,
    );
  }

  #bury(job: Job, reason: string, nowMs: number): void {
    job.reason = reason;
    this.book.move(job, { kind: 'dead', sinceMs: nowMs, forgetMs: nowMs + LIMITS.prefillDeadMs }, nowMs);
    this.#ended('dead');
  }

  #end(job: Job, outcome: Ending, nowMs: number): void {
    this.book.move(job, { kind: 'ended', outcome, forgetMs: nowMs + LIMITS.prefillEndedMs }, nowMs);
    this.#ended(outcome);
  }

  #deadOf(ids: readonly string[]): Job[] {
    return [...new Set(ids)]
      .map((id) => this.book.get(id))
      .filter((job) => job?.phase.kind === 'dead') as Job[];
  }
}

const leaseEndMs = (nowMs: number): number => nowMs + LIMITS.prefillLeaseMs;

const TOO_LARGE: Refused = {
  refused: 'body_too_large',
  message: `A prefill job has at most ${LIMITS.prefillJobBytes} bytes.`,
};
const FULL: Refused = { refused: 'overloaded', message: 'The prefill queue is full.' };

/** Its producer did not want it any more: when it does again, that is another job. */
const isGivenUp = ({ phase }: Job): boolean => phase.kind === 'ended' && phase.outcome !== 'ready';
