/**
 * The PrefillQueue object, one per namespace: a shell around `prefill-queue.ts`. `rpc.ts` has its interface. It gives the core
 * its time, lets callers wait, and writes behind: calls are answered from memory, and what is still so after
 * `prefillWriteMs` is written, a bounded piece a turn. What a crash loses is younger than that, and its producers learn
 * it from the new `boot` (docs/decisions/0018).
 */

import { DurableObject, hostOf } from '#platform';
import type { Host } from '../platform/host.ts';
import { settingsFromEnv } from '../runtime/config.ts';
import { IdSource } from '../runtime/ids.ts';
import { LIMITS } from '../runtime/limits.ts';
import type { Job } from './job.ts';
import { announcePrefillQueue } from './nearby.ts';
import { Pollers } from './pollers.ts';
import { PrefillQueueCore } from './prefill-queue.ts';
import { type QueueMetrics, queueMetrics, queueStatus } from './queue-metrics.ts';
import type {
  Enqueued,
  LeasedJob,
  LeaseWish,
  NewPrefillJob,
  PrefillQueueRpc,
  PrefillQueueStatus,
  Refused,
  Report,
  Verdict,
  Watched,
} from './rpc.ts';
import { SqlDisk } from './sql-disk.ts';

export class PrefillQueue extends DurableObject implements PrefillQueueRpc {
  readonly #host: Host;
  readonly #disk: SqlDisk;
  readonly #core: PrefillQueueCore;
  readonly #metrics: QueueMetrics;
  readonly #workers: Pollers;
  readonly #watchers: Pollers;
  /** When the next turn is due that is set. */
  #turnMs = Number.POSITIVE_INFINITY;

  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env as never);
    this.#host = hostOf(ctx);
    this.#workers = new Pollers(this.#host);
    this.#watchers = new Pollers(this.#host);
    this.#disk = new SqlDisk(ctx.storage);
    this.#core = new PrefillQueueCore({
      boot: new IdSource().instanceId(),
      ended: (outcome) => this.#metrics.ended(outcome),
    });
    const namespace = ctx.id.name ?? String(ctx.id);
    const prefix = settingsFromEnv(env as Record<string, unknown>).metricsPrefix;
    this.#metrics = queueMetrics({ prefix, namespace }, () => ({
      core: this.#core,
      nowMs: this.#host.nowMs(),
    }));
    const nowMs = this.#host.nowMs();
    for (const job of this.#disk.load(LIMITS.prefillDeadMs)) this.#core.restore(job, nowMs);
    announcePrefillQueue(namespace, {
      waiting: (model) => this.#core.book.waiting(model),
      bytes: (model) => this.#core.book.liveBytes(model),
      metrics: () => this.#metrics.text(),
    });
    this.#arm();
  }

  enqueue(job: NewPrefillJob): Enqueued | Refused {
    const answer = this.#core.enqueue(job, this.#host.nowMs());
    this.#stir();
    return answer;
  }

  async lease(wish: LeaseWish): Promise<{ jobs: LeasedJob[]; leaseMs: number }> {
    const { worker, model, holding, waitMs } = wish;
    this.#workers.end(worker);
    this.#core.holds(worker, holding, this.#host.nowMs());
    this.#stir();
    const take = () => this.#core.lease(wish, this.#host.nowMs()).map((job) => this.#leased(job));
    const jobs = await this.#workers.poll({ owner: worker, topic: model, waitMs }, (end) => {
      const found = end ? [] : take();
      return found.length > 0 || end ? found : null;
    });
    this.#stir();
    return { jobs, leaseMs: LIMITS.prefillLeaseMs };
  }

  report(reports: Report[]): Verdict[] {
    const nowMs = this.#host.nowMs();
    const verdicts = reports.map((report) => this.#core.report(report, nowMs));
    this.#stir();
    return verdicts;
  }

  cancel(producer: string, requestIds: string[]): void {
    this.#core.cancel(producer, requestIds, this.#host.nowMs());
    this.#stir();
  }

  watch(
    producer: string,
    { boot, after, waitMs }: { boot: string; after: number; waitMs: number },
  ): Promise<Watched> {
    const core = this.#core;
    const since = boot === core.boot ? after : 0;
    return this.#watchers.poll({ owner: producer, topic: producer, waitMs }, (end) => {
      const changes = core.changes(producer, since, this.#host.nowMs());
      const isNews = changes.length > 0 || boot !== core.boot;
      return isNews || end ? { boot: core.boot, seq: core.book.changes, changes } : null;
    });
  }

  workerLost(worker: string): void {
    this.#core.holds(worker, [], this.#host.nowMs());
    this.#stir();
  }

  status(): PrefillQueueStatus {
    this.#core.settle(this.#host.nowMs());
    this.#stir();
    return queueStatus(this.#core, this.#host.nowMs());
  }

  requeueDead(ids: string[]): number {
    const count = this.#core.requeueDead(ids, this.#host.nowMs());
    this.#stir();
    return count;
  }

  dropDead(ids: string[]): number {
    const count = this.#core.dropDead(ids, this.#host.nowMs());
    this.#stir();
    return count;
  }

  /** Who waits for what has changed looks; taking a job is a change, too. */
  #stir(): void {
    const producers = new Set<string>();
    for (;;) {
      const stirred = this.#core.book.takeStirred();
      for (const producer of stirred.producers) producers.add(producer);
      if (stirred.models.size === 0) break;
      for (const model of stirred.models) this.#workers.wake(model);
    }
    for (const producer of producers) this.#watchers.wake(producer);
    this.#arm();
  }

  /** One timer for the earliest of what time brings and what is to be written. */
  #arm(): void {
    const { book, dueMs } = this.#core;
    const nextMs = Math.min(dueMs, book.unwritten.oldestMs + LIMITS.prefillWriteMs);
    if (nextMs >= this.#turnMs) return;
    this.#turnMs = nextMs;
    this.#host.after(Math.max(0, nextMs - this.#host.nowMs()), () => {
      if (this.#turnMs !== nextMs) return;
      this.#turnMs = Number.POSITIVE_INFINITY;
      this.#turn();
    });
  }

  #turn(): void {
    const nowMs = this.#host.nowMs();
    this.#core.settle(nowMs);
    const jobs = this.#core.book.unwritten.take(nowMs - LIMITS.prefillWriteMs, LIMITS.prefillWriteBytes);
    if (jobs.length > 0) {
      this.#disk.write(jobs);
      this.#metrics.wrote(jobs.length);
      // Dead letters are many and seldom read.
      for (const job of jobs) if (job.phase.kind === 'dead') job.work = null;
    }
    this.#stir();
  }

  #leased(job: Job): LeasedJob {
    const { lease, requestId, producer, priority, deadlineMs, deliveries } = job;
    job.work ??= this.#disk.work(job);
    return {
      lease: lease!.id,
      requestId,
      producer,
      priority,
      timeLeftMs: Math.max(0, Math.ceil(deadlineMs - this.#host.nowMs())),
      delivery: deliveries,
      work: job.work,
    };
  }
}
