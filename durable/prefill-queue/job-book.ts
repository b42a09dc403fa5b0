/**
 * All jobs of a queue, found by whatever one looks for: the first of a model, whose time has come, who has which, what
 * a producer has not seen. A job changes by `move` only, which keeps all of it right, and the sums. Pure.
 */

import { LIMITS } from '../runtime/limits.ts';
import { IndexedHeap } from './indexed-heap.ts';
import { dueMs, isLive, type Job, type Lease, type Phase, stateOf } from './job.ts';
import { Unwritten } from './unwritten.ts';

export class JobBook {
  readonly unwritten = new Unwritten();
  /** Dead letters, the oldest first. */
  readonly dead = new Set<Job>();
  readonly #jobs = new Map<string, Job>();
  readonly #lanes = new Map<string, IndexedHeap<Job>>();
  readonly #due = new IndexedHeap<Job>(
    (a, b) => dueMs(a) < dueMs(b) || (dueMs(a) === dueMs(b) && a.seq < b.seq),
  );
  readonly #byProducer = new Map<string, Set<Job>>();
  readonly #byWorker = new Map<string, Set<Job>>();
  readonly #byLease = new Map<string, Job>();
  readonly #waiting = new Map<string, number>();
  readonly #liveBytes = new Map<string, number>();
  /** Ended ones that are remembered, the oldest first. */
  readonly #ended = new Set<Job>();
  #deadBytes = 0;
  #live = 0;
  #bytes = 0;
  #changes = 0;
  #stirred = { producers: new Set<string>(), models: new Set<string>() };

  /** Of live jobs. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Number of the last change. */
  get changes(): number {
    return this.#changes;
  }

  /** Whose time comes first. */
  get due(): Job | undefined {
    return this.#due.first;
  }

  get(id: string): Job | undefined {
    return this.#jobs.get(id);
  }

  all(): Iterable<Job> {
    return this.#jobs.values();
  }

  first(model: string): Job | undefined {
    return this.#lanes.get(model)?.first;
  }

  /** Jobs of a model that nobody has, those that rest included. */
  waiting(model: string): number {
    return this.#waiting.get(model) ?? 0;
  }

  /** Of jobs of a model that have no end yet, those under lease included. */
  liveBytes(model: string): number {
    return this.#liveBytes.get(model) ?? 0;
  }

  ofProducer(producer: string): Iterable<Job> {
    return this.#byProducer.get(producer) ?? [];
  }

  /** Those it has under lease. */
  ofWorker(worker: string): Iterable<Job> {
    return this.#byWorker.get(worker) ?? [];
  }

  /** By its latest lease, over or not. */
  ofLease(lease: string): Job | undefined {
    return this.#byLease.get(lease);
  }

  add(job: Job, nowMs: number): void {
    this.#jobs.set(job.id, job);
    put(this.#byProducer, job.producer, job);
    if (job.lease !== null) this.#byLease.set(job.lease.id, job);
    this.#arrive(job, nowMs);
    this.#show(job);
    if (!job.stored) this.unwritten.note(job, nowMs);
  }

  /** Is there room for another job of so many bytes? */
  hasRoom(bytes: number): boolean {
    return this.#live < LIMITS.prefillQueueJobs && this.#bytes + bytes <= LIMITS.prefillQueueBytes;
  }

  /** `lease`: a new one; the one before is forgotten. */
  move(job: Job, phase: Phase, nowMs: number, lease: Lease | null = null): void {
    const before = stateOf(job);
    this.#leave(job);
    if (lease !== null) {
      if (job.lease !== null) this.#byLease.delete(job.lease.id);
      this.#byLease.set(lease.id, job);
      job.lease = lease;
    }
    job.phase = phase;
    this.#arrive(job, nowMs);
    if (stateOf(job) !== before) this.#show(job);
    this.unwritten.note(job, nowMs);
  }

  /** Its lease goes on. */
  extend(job: Job, endsMs: number): void {
    if (job.phase.kind === 'leased') job.phase.endsMs = endsMs;
    this.#due.put(job);
  }

  /** As if it had never been. */
  remove(job: Job, nowMs: number): void {
    if (job.phase.kind !== 'ended')
      this.move(job, { kind: 'ended', outcome: 'cancelled', forgetMs: nowMs }, nowMs);
    this.#leave(job);
    this.#due.delete(job);
    this.#jobs.delete(job.id);
    take(this.#byProducer, job.producer, job);
    if (job.lease !== null) this.#byLease.delete(job.lease.id);
  }

  /** Producers and models of which something changed since this was asked last. */
  takeStirred(): { producers: Set<string>; models: Set<string> } {
    const stirred = this.#stirred;
    this.#stirred = { producers: new Set(), models: new Set() };
    return stirred;
  }

  #arrive(job: Job, nowMs: number): void {
    if (isLive(job)) {
      this.#live++;
      this.#bytes += job.bytes;
      this.#liveBytes.set(job.model, this.liveBytes(job.model) + job.bytes);
    }
    this.#index(job);
    this.#due.put(job);
    this.#bound(nowMs);
  }

  /** Its producer sees a difference. */
  #show(job: Job): void {
    job.changed = ++this.#changes;
    this.#stirred.producers.add(job.producer);
  }

  #index(job: Job): void {
    const { model } = job;
    switch (job.phase.kind) {
      case 'queued': {
        const lane = this.#lanes.get(model) ?? new IndexedHeap<Job>(goesBefore);
        this.#lanes.set(model, lane);
        lane.put(job);
        this.#stirred.models.add(model);
        this.#waiting.set(model, this.waiting(model) + 1);
        break;
      }
      case 'resting':
        this.#waiting.set(model, this.waiting(model) + 1);
        break;
      case 'leased':
        put(this.#byWorker, job.lease!.worker, job);
        break;
      case 'ended':
        job.work = null;
        this.#ended.add(job);
        break;
      case 'dead':
        this.dead.add(job);
        this.#deadBytes += job.bytes;
        break;
    }
  }

  #leave(job: Job): void {
    const { model, phase } = job;
    if (isLive(job)) {
      this.#live--;
      this.#bytes -= job.bytes;
      const bytes = this.liveBytes(model) - job.bytes;
      if (bytes === 0) this.#liveBytes.delete(model);
      else this.#liveBytes.set(model, bytes);
    }
    switch (phase.kind) {
      case 'queued': {
        const lane = this.#lanes.get(model)!;
        lane.delete(job);
        if (lane.size === 0) this.#lanes.delete(model);
        this.#waits(model, -1);
        break;
      }
      case 'resting':
        this.#waits(model, -1);
        break;
      case 'leased':
        take(this.#byWorker, job.lease!.worker, job);
        break;
      case 'ended':
        this.#ended.delete(job);
        break;
      case 'dead':
        this.dead.delete(job);
        this.#deadBytes -= job.bytes;
        break;
    }
  }

  #waits(model: string, change: number): void {
    const count = this.waiting(model) + change;
    if (count === 0) this.#waiting.delete(model);
    else this.#waiting.set(model, count);
  }

  /** What is kept for people and late callers goes, the oldest first. */
  #bound(nowMs: number): void {
    for (const job of this.#ended) {
      if (this.#ended.size <= LIMITS.prefillEndedJobs) break;
      this.remove(job, nowMs);
    }
    for (const job of this.dead) {
      if (this.dead.size <= LIMITS.prefillDeadLetters && this.#deadBytes <= LIMITS.prefillDeadBytes) break;
      this.remove(job, nowMs);
    }
  }
}

const goesBefore = (a: Job, b: Job): boolean =>
  a.priority === b.priority ? a.seq < b.seq : a.priority > b.priority;

function put(index: Map<string, Set<Job>>, key: string, job: Job): void {
  const jobs = index.get(key) ?? new Set();
  index.set(key, jobs.add(job));
}

function take(index: Map<string, Set<Job>>, key: string, job: Job): void {
  const jobs = index.get(key);
  jobs?.delete(job);
  if (jobs?.size === 0) index.delete(key);
}
