/**
 * Jobs in the object's SQLite: a small row for each, which changes, and its work in another table, which does not. What is
 * written together is there as a whole or not at all.
 */

import type { Job, Lease, Phase } from './job.ts';
import { jobId } from './job.ts';
import { isKept } from './unwritten.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS prefill_jobs (
    seq INTEGER PRIMARY KEY, request TEXT, producer TEXT, model TEXT, priority INTEGER, bytes INTEGER, timeout_ms INTEGER,
    queued_ms INTEGER, deadline_ms INTEGER, deliveries INTEGER, phase TEXT, phase_ms INTEGER, lease TEXT, reason TEXT
  );
  CREATE TABLE IF NOT EXISTS prefill_work (seq INTEGER PRIMARY KEY, work BLOB);
`;

type Row = Record<string, SqlStorageValue>;

export class SqlDisk {
  readonly #storage: Pick<DurableObjectStorage, 'sql' | 'transactionSync'>;

  constructor(storage: Pick<DurableObjectStorage, 'sql' | 'transactionSync'>) {
    this.#storage = storage;
    storage.sql.exec(SCHEMA);
  }

  /** All jobs, the first first; their work stays where it is until `work`. */
  load(deadMs: number): Job[] {
    const rows = this.#storage.sql.exec('SELECT * FROM prefill_jobs ORDER BY seq').toArray();
    return rows.map((row) => jobOf(row, deadMs));
  }

  work({ seq }: Job): Uint8Array {
    const [row] = this.#storage.sql.exec('SELECT work FROM prefill_work WHERE seq = ?', seq).toArray();
    const work = row?.['work'];
    return work instanceof ArrayBuffer ? new Uint8Array(work) : new Uint8Array();
  }

  /** Jobs as they are now; those that have ended go. */
  write(jobs: readonly Job[]): void {
    this.#storage.transactionSync(() => {
      for (const job of jobs) {
        if (!isKept(job)) this.#delete(job);
        else if (job.stored) this.#update(job);
        else this.#insert(job);
      }
    });
    for (const job of jobs) job.stored = isKept(job);
  }

  #insert(job: Job): void {
    const { sql } = this.#storage;
    const { seq, requestId, producer, model, priority, bytes, timeoutMs } = job;
    const fixed = [seq, requestId, producer, model, priority, bytes, timeoutMs];
    const query = 'INSERT INTO prefill_jobs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)';
    sql.exec(query, ...fixed, ...changing(job));
    sql.exec('INSERT INTO prefill_work VALUES (?, ?)', seq, job.work);
  }

  #update(job: Job): void {
    const query = `UPDATE prefill_jobs SET queued_ms = ?, deadline_ms = ?, deliveries = ?, phase = ?, phase_ms = ?, lease = ?,
      reason = ? WHERE seq = ?`;
    this.#storage.sql.exec(query, ...changing(job), job.seq);
  }

  #delete({ seq }: Job): void {
    const { sql } = this.#storage;
    sql.exec('DELETE FROM prefill_jobs WHERE seq = ?', seq);
    sql.exec('DELETE FROM prefill_work WHERE seq = ?', seq);
  }
}

/** A lease is kept and its end is not: a restart gives it another term. Rest is not worth a row. */
function changing({
  queuedMs,
  deadlineMs,
  deliveries,
  phase,
  lease,
  reason,
}: Job): (string | number | null)[] {
  const kind = phase.kind === 'resting' ? 'queued' : phase.kind;
  const phaseMs = phase.kind === 'dead' ? phase.sinceMs : Number(phase.kind === 'leased' && phase.begun);
  return [
    queuedMs,
    deadlineMs,
    deliveries,
    kind,
    phaseMs,
    lease === null ? null : JSON.stringify(lease),
    reason,
  ];
}

function jobOf(row: Row, deadMs: number): Job {
  const text = (name: string) => String(row[name]);
  const number = (name: string) => Number(row[name]);
  const lease = row['lease'] === null ? null : (JSON.parse(text('lease')) as Lease);
  return {
    id: jobId(text('request'), text('producer')),
    requestId: text('request'),
    producer: text('producer'),
    model: text('model'),
    priority: number('priority'),
    seq: number('seq'),
    bytes: number('bytes'),
    timeoutMs: number('timeout_ms'),
    work: null,
    queuedMs: number('queued_ms'),
    deadlineMs: number('deadline_ms'),
    deliveries: number('deliveries'),
    phase: phaseOf(text('phase'), number('phase_ms'), deadMs),
    lease,
    reason: text('reason'),
    cachedTokens: 0,
    changed: 0,
    stored: true,
  };
}

/** `phaseMs` of a lease: has it begun? */
function phaseOf(kind: string, phaseMs: number, deadMs: number): Phase {
  if (kind === 'dead') return { kind, sinceMs: phaseMs, forgetMs: phaseMs + deadMs };
  return kind === 'leased' ? { kind, endsMs: 0, begun: phaseMs === 1 } : { kind: 'queued' };
}
