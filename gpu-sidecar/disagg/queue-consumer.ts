/**
 * A prefill worker's end of the queue: takes as many jobs as its engine has room for, computes them, says so.
 *
 * One call at a time waits for jobs, one tells of those that are under way, so a busy worker asks the platform a few times a
 * second whatever it does. Whoever lost a job (cancelled, too old, given to another) stops computing it. While the platform is
 * away nothing is taken and nothing is thrown away: what was computed is told when it is back, for as long as a lease may live.
 */

import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Clock } from '../../durable/runtime/clock.ts';
import { StatorError, toStatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import type { Logger } from '../../durable/runtime/log.ts';
import {
  type LeasedJob,
  ReportKind,
  type ReportSchema,
  Verdict,
} from '../proto/gen/stator/v1/prefill_queue_pb.js';
import type { Timers } from '../timers.ts';
import { QueueBackoff } from './queue-backoff.ts';
import type { QueueClient } from './queue-client.ts';
import { type QueuedPrefill, queuedPrefill } from './queued-prefill.ts';

export interface QueueConsumerOptions {
  queue: Pick<QueueClient, 'lease' | 'report'>;
  /** Of this worker, and where its blocks are asked for: known once it listens. */
  instanceId: string;
  grpcAddress(): string;
  model: string;
  /** Jobs that the engine would take now, those that it has left out. */
  room(): number;
  /** Resolves when all blocks are computed; `begun` once before, when they may be asked for. Ends soon after `signal`. */
  compute(
    job: QueuedPrefill,
    hooks: { signal: AbortSignal; begun(): void },
  ): Promise<{ cachedTokens: number }>;
  clock: Clock;
  timers: Timers;
  random: () => number;
  log: Pick<Logger, 'warn'>;
}

type Report = MessageInitShape<typeof ReportSchema> & { lease: string; kind: ReportKind };

/** A job that this worker has. */
interface Task {
  lease: string;
  requestId: string;
  end: AbortController;
  /** When the platform last said that it is ours. */
  heldMs: number;
  computing: boolean;
  stopDeadline: () => void;
}

export class QueueConsumer {
  readonly #options: QueueConsumerOptions;
  readonly #tasks = new Map<string, Task>();
  /** The latest word on each job that the platform has not heard. */
  readonly #unsaid = new Map<string, Report>();
  #leaseMs: number = LIMITS.prefillLeaseMs;
  #saying = false;
  #draining = false;
  /** No time is left to tell the platform twice. */
  #cut = false;
  #taking: Promise<void> | null = null;
  /** Somebody waits for a change: room, a task's end, or the order to drain. */
  #changed: () => void = () => {};
  #stopRenewing: () => void = () => {};

  constructor(options: QueueConsumerOptions) {
    this.#options = options;
  }

  /** Jobs that this worker has. */
  get active(): number {
    return this.#tasks.size;
  }

  start(): void {
    if (this.#taking !== null) return;
    this.#taking = this.#take();
    this.#renewLater();
  }

  /** The engine may have more room than before. */
  roomChanged(): void {
    this.#changed();
  }

  /** Takes no more and resolves when what it has is done and told; `cut` ends it early: the rest goes back unbegun. */
  async drain(cut: AbortSignal): Promise<void> {
    this.#draining = true;
    const stop = () => {
      this.#cut = true;
      for (const task of this.#tasks.values())
        task.end.abort(new StatorError('worker_draining', 'the worker leaves'));
      this.#changed();
    };
    cut.addEventListener('abort', stop, { once: true });
    if (cut.aborted) stop();
    this.#changed();
    await this.#taking;
    while (this.#tasks.size > 0) await this.#change();
    cut.removeEventListener('abort', stop);
    this.#stopRenewing();
  }

  async #take(): Promise<void> {
    const { grpcAddress, instanceId: worker, log, model, queue, random, room, timers } = this.#options;
    const backoff = new QueueBackoff(timers, random);
    while (!this.#draining) {
      const most = Math.min(room(), LIMITS.prefillLeasedJobs);
      if (most <= 0) {
        const stop = timers.after(LIMITS.prefillWaitMs, () => this.#changed());
        await this.#change();
        stop();
        continue;
      }
      const holding = [...this.#tasks.keys()];
      try {
        const answer = await queue.lease({
          worker,
          grpcAddress: grpcAddress(),
          model,
          most,
          waitMs: LIMITS.prefillWaitMs,
          holding,
        });
        backoff.reset();
        if (answer.leaseMs > 0) this.#leaseMs = answer.leaseMs;
        for (const job of answer.jobs) this.#begin(job);
      } catch (thrown) {
        log.warn('no prefill jobs can be taken', { reason: toStatorError(thrown).message });
        await backoff.pause();
      }
    }
  }

  #begin(job: LeasedJob): void {
    const { clock, timers } = this.#options;
    const { lease, requestId } = job;
    const end = new AbortController();
    const late = () => end.abort(new StatorError('deadline_exceeded', 'nobody waits for it any more'));
    const stopDeadline = timers.after(job.timeLeftMs, late);
    const task = { lease, requestId, end, heldMs: clock.nowMs(), computing: true, stopDeadline };
    this.#tasks.set(lease, task);
    // What came while this worker was told to drain.
    if (this.#draining) this.#ended(task, { lease, kind: ReportKind.RETURN });
    else void this.#compute(job, task);
  }

  async #compute(job: LeasedJob, task: Task): Promise<void> {
    const { lease, end } = task;
    try {
      const { cachedTokens } = await this.#options.compute(queuedPrefill(job), {
        signal: end.signal,
        begun: () => {
          if (task.computing) this.#say({ lease, kind: ReportKind.BEGIN });
        },
      });
      this.#ended(task, { lease, kind: ReportKind.COMPLETE, cachedTokens });
    } catch (thrown) {
      const error = toStatorError(end.signal.aborted ? end.signal.reason : thrown);
      if (error.code === 'worker_draining') this.#ended(task, { lease, kind: ReportKind.RETURN });
      else {
        const final = error.httpStatus < 499;
        this.#ended(task, { lease, kind: ReportKind.FAIL, reason: error.message, final });
      }
    }
  }

  #ended(task: Task, report: Report): void {
    task.computing = false;
    task.stopDeadline();
    if (this.#tasks.has(task.lease)) this.#say(report);
    this.#changed();
  }

  #say(report: Report): void {
    this.#unsaid.set(report.lease, report);
    if (this.#saying) return;
    this.#saying = true;
    // What happens in the same turn is told together.
    this.#options.timers.endOfTurn(() => void this.#sayAll());
  }

  async #sayAll(): Promise<void> {
    const { log, queue, random, timers } = this.#options;
    const backoff = new QueueBackoff(timers, random);
    while (this.#unsaid.size > 0) {
      const reports = [...this.#unsaid.values()].slice(0, LIMITS.prefillCallItems);
      for (const { lease } of reports) this.#unsaid.delete(lease);
      try {
        const verdicts = await queue.report(reports);
        backoff.reset();
        reports.forEach((report, i) => {
          this.#heard(report, verdicts[i] ?? Verdict.UNSPECIFIED);
        });
      } catch (thrown) {
        log.warn('the prefill queue cannot be told', { reason: toStatorError(thrown).message });
        this.#keep(reports);
        await backoff.pause();
      }
    }
    this.#saying = false;
  }

  /** Says it later, unless there is a later word, or the lease is over long since. */
  #keep(reports: readonly Report[]): void {
    const nowMs = this.#options.clock.nowMs();
    for (const report of reports) {
      const task = this.#tasks.get(report.lease);
      if (task === undefined) continue;
      const isOver = this.#cut || nowMs - task.heldMs > 2 * this.#leaseMs;
      if (!task.computing && isOver) this.#forget(task);
      else if (!this.#unsaid.has(report.lease)) this.#unsaid.set(report.lease, report);
    }
  }

  #heard({ lease, kind }: Report, verdict: Verdict): void {
    const task = this.#tasks.get(lease);
    if (task === undefined) return;
    if (verdict === Verdict.HELD) {
      task.heldMs = this.#options.clock.nowMs();
      return;
    }
    const stillComputing = task.computing && (kind === ReportKind.BEGIN || kind === ReportKind.RENEW);
    this.#forget(task);
    if (stillComputing) task.end.abort(new StatorError('cancelled', 'the prefill job is not ours any more'));
  }

  #forget(task: Task): void {
    this.#tasks.delete(task.lease);
    this.#unsaid.delete(task.lease);
    task.stopDeadline();
    this.#changed();
  }

  /** Three times in a lease. */
  #renewLater(): void {
    this.#stopRenewing = this.#options.timers.after(this.#leaseMs / 3, () => {
      for (const { lease, computing } of this.#tasks.values()) {
        if (computing && !this.#unsaid.has(lease)) this.#say({ lease, kind: ReportKind.RENEW });
      }
      this.#renewLater();
    });
  }

  #change(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const before = this.#changed;
    this.#changed = () => {
      before();
      this.#changed = () => {};
      resolve();
    };
    return promise;
  }
}
