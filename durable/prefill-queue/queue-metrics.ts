/** What a PrefillQueue object counts, and its view for people. */

import { Metrics } from '../runtime/metrics.ts';
import { type Ending, isLive, type Job } from './job.ts';
import type { PrefillQueueCore } from './prefill-queue.ts';
import type { DeadLetter, PrefillQueueStatus } from './rpc.ts';

export interface QueueMetrics {
  ended(outcome: Ending | 'dead'): void;
  /** Rows, in one turn. */
  wrote(rows: number): void;
  text(): string;
}

export function queueMetrics(
  { prefix, namespace }: { prefix: string; namespace: string },
  now: () => { core: PrefillQueueCore; nowMs: number },
): QueueMetrics {
  const metrics = new Metrics({ prefix, labels: { namespace } });
  const jobs = metrics.gauge('prefill_queue_jobs', 'Prefill jobs, by whether a worker has them.', [
    'model',
    'state',
  ]);
  const oldest = metrics.gauge('prefill_queue_oldest_seconds', 'Age of the oldest job that nobody has.', [
    'model',
  ]);
  const letters = metrics.gauge('prefill_queue_dead_letters', 'Jobs given up and kept for people.').labels();
  const endings = metrics.counter('prefill_queue_ended_total', 'Jobs that came to an end, by which.', [
    'outcome',
  ]);
  const redelivered = metrics
    .counter(
      'prefill_queue_redelivered_total',
      'Jobs that went back because their worker failed or fell silent.',
    )
    .labels();
  const written = metrics.counter('prefill_queue_written_total', 'Rows written to disk.').labels();
  const turns = metrics.counter('prefill_queue_writes_total', 'Turns of writing to disk.').labels();
  metrics.onCollect(() => {
    const { core, nowMs } = now();
    const status = queueStatus(core, nowMs);
    jobs.clear();
    oldest.clear();
    for (const { model, waiting, leased, oldestMs } of status.models) {
      jobs.labels(model, 'waiting').set(waiting);
      jobs.labels(model, 'leased').set(leased);
      oldest.labels(model).set(oldestMs / 1000);
    }
    letters.set(status.deadLetters.length);
    redelivered.value = core.redelivered;
  });
  return {
    ended: (outcome) => endings.labels(outcome).add(),
    wrote(rows) {
      written.add(rows);
      turns.add();
    },
    text: () => metrics.text(),
  };
}

/** As it is; changes nothing. */
export function queueStatus({ book, redelivered }: PrefillQueueCore, nowMs: number): PrefillQueueStatus {
  const models = new Map<string, PrefillQueueStatus['models'][number]>();
  for (const job of book.all()) {
    if (!isLive(job)) continue;
    const { model } = job;
    const line = models.get(model) ?? { model, waiting: 0, leased: 0, oldestMs: 0 };
    models.set(model, line);
    if (job.phase.kind === 'leased') line.leased++;
    else {
      line.waiting++;
      line.oldestMs = Math.max(line.oldestMs, nowMs - job.queuedMs);
    }
  }
  const deadLetters = [...book.dead].map(deadLetter);
  return { models: [...models.values()], bytes: book.bytes, redelivered, deadLetters };
}

function deadLetter({ id, requestId, producer, model, reason, deliveries, bytes, phase }: Job): DeadLetter {
  const deadSinceMs = phase.kind === 'dead' ? phase.sinceMs : 0;
  return { id, requestId, producer, model, reason, deliveries, bytes, deadSinceMs };
}
