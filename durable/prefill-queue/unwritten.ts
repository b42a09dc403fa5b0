/**
 * Jobs that the disk does not know as they are. A write stalls the whole event loop, so they are written together, and none
 * before it has been different for `prefillWriteMs`: a job that is done by then never touches the disk. Pure.
 */

import { isLive, type Job } from './job.ts';

export class Unwritten {
  /** Since when, the oldest first. */
  readonly #since = new Map<Job, number>();

  /** It is not as it was. */
  note(job: Job, nowMs: number): void {
    if (!isKept(job) && !job.stored) this.#since.delete(job);
    else if (!this.#since.has(job)) this.#since.set(job, nowMs);
  }

  /** Infinity: all is written. */
  get oldestMs(): number {
    const [oldest] = this.#since.values();
    return oldest ?? Number.POSITIVE_INFINITY;
  }

  /** Those that are so since `untilMs` or longer, about as many bytes; they count as written. */
  take(untilMs: number, mostBytes: number): Job[] {
    const jobs: Job[] = [];
    let bytes = 0;
    for (const [job, sinceMs] of this.#since) {
      if (sinceMs > untilMs || bytes >= mostBytes) break;
      if (!job.stored) bytes += job.bytes;
      bytes += ROW_BYTES;
      jobs.push(job);
      this.#since.delete(job);
    }
    return jobs;
  }
}

/** Of a row without its work, about. */
const ROW_BYTES = 256;

/** It belongs on disk. */
export const isKept = (job: Job): boolean => isLive(job) || job.phase.kind === 'dead';
