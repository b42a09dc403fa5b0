/**
 * Batches in the object's SQLite: a row for each batch, one for each line of its input, one for each result that is not in
 * its output file yet. A result and the counts that it changes are written together, so a line is answered once or not at
 * all, whenever the process dies; results go when the bytes they become are in the file.
 */

import { LIMITS } from '../runtime/limits.ts';
import type { BatchRecord, BatchState, Page } from './rpc.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS batches (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, open INTEGER, record TEXT,
    total INTEGER, completed INTEGER, failed INTEGER
  );
  CREATE INDEX IF NOT EXISTS batches_open ON batches (open) WHERE open = 1;
  CREATE TABLE IF NOT EXISTS batch_lines (
    batch TEXT, line INTEGER, start INTEGER, length INTEGER, custom_id TEXT, PRIMARY KEY (batch, line)
  ) WITHOUT ROWID;
  CREATE UNIQUE INDEX IF NOT EXISTS batch_lines_by_name ON batch_lines (batch, custom_id);
  CREATE TABLE IF NOT EXISTS batch_results (
    batch TEXT, line INTEGER, failed INTEGER, text TEXT, PRIMARY KEY (batch, line)
  );
`;

type Row = Record<string, SqlStorageValue>;

/** A request of a batch: where it stands in the input file. */
export interface BatchLine {
  line: number;
  start: number;
  length: number;
  customId: string;
}

/** Work is left to do. */
export const isOpen = (state: BatchState): boolean =>
  state === 'validating' || state === 'in_progress' || state === 'finalizing' || state === 'cancelling';

export class Ledger {
  readonly #sql: SqlStorage;
  readonly #transaction: (write: () => void) => void;
  #resultCharacters: number;

  constructor(storage: Pick<DurableObjectStorage, 'sql' | 'transactionSync'>) {
    this.#sql = storage.sql;
    this.#transaction = (write) => storage.transactionSync(write);
    storage.sql.exec(SCHEMA);
    const sum = storage.sql.exec('SELECT sum(length(text)) AS sum FROM batch_results').one();
    this.#resultCharacters = Number(sum['sum'] ?? 0);
  }

  /** Of results that are in no file yet. */
  get resultCharacters(): number {
    return this.#resultCharacters;
  }

  /** All of it or nothing. */
  together(write: () => void): void {
    this.#transaction(write);
  }

  /** The oldest ended ones go when there are more than are kept. */
  add(batch: BatchRecord): void {
    this.#sql.exec(
      'INSERT INTO batches (id, open, record, total, completed, failed) VALUES (?, 1, ?, 0, 0, 0)',
      batch.id,
      JSON.stringify(batch),
    );
    this.#sql.exec(
      'DELETE FROM batches WHERE open = 0 AND seq <= (SELECT max(seq) FROM batches) - ?',
      LIMITS.batches,
    );
  }

  /** Everything but the counts of results, which `record` writes. */
  put(batch: BatchRecord): void {
    this.#sql.exec(
      'UPDATE batches SET open = ?, record = ?, total = ? WHERE id = ?',
      Number(isOpen(batch.state)),
      JSON.stringify(batch),
      batch.total,
      batch.id,
    );
  }

  get(id: string): BatchRecord | null {
    const [row] = this.#sql.exec('SELECT * FROM batches WHERE id = ?', id).toArray();
    return row === undefined ? null : recordOf(row);
  }

  /** Newest first. Null: `after` is unknown. */
  list(after: string | null, limit: number): Page<BatchRecord> | null {
    const [last] = this.#sql.exec('SELECT seq FROM batches WHERE id = ?', after).toArray();
    if (after !== null && last === undefined) return null;
    const query = 'SELECT * FROM batches WHERE seq < ? ORDER BY seq DESC LIMIT ?';
    const rows = this.#sql.exec(query, Number(last?.['seq'] ?? Number.MAX_SAFE_INTEGER), limit + 1).toArray();
    return { data: rows.slice(0, limit).map(recordOf), hasMore: rows.length > limit };
  }

  /** Those with work left, oldest first. */
  open(): BatchRecord[] {
    return this.#sql.exec('SELECT * FROM batches WHERE open = 1 ORDER BY seq').toArray().map(recordOf);
  }

  /** False: another line has that name. */
  addLine(batch: string, { line, start, length, customId }: BatchLine): boolean {
    const insert = 'INSERT OR IGNORE INTO batch_lines VALUES (?, ?, ?, ?, ?) RETURNING line';
    return this.#sql.exec(insert, batch, line, start, length, customId).toArray().length > 0;
  }

  /** Lines behind `after` that have no result, in order. */
  pending(batch: string, after: number, limit: number): BatchLine[] {
    const query = `SELECT * FROM batch_lines AS l WHERE batch = ? AND line > ? AND NOT EXISTS
      (SELECT 1 FROM batch_results WHERE batch = l.batch AND line = l.line) ORDER BY line LIMIT ?`;
    return this.#sql.exec(query, batch, after, limit).toArray().map(lineOf);
  }

  /** A line's one result. */
  record(batch: string, line: number, result: { failed: boolean; text: string }): void {
    this.#transaction(() => {
      const insert = 'INSERT INTO batch_results VALUES (?, ?, ?, ?)';
      this.#sql.exec(insert, batch, line, Number(result.failed), result.text);
      this.#resultCharacters += result.text.length;
      const column = result.failed ? 'failed' : 'completed';
      this.#sql.exec(`UPDATE batches SET ${column} = ${column} + 1 WHERE id = ?`, batch);
    });
  }

  /** The first results of one kind in the order of their lines, about so many bytes of them. */
  results(batch: string, failed: boolean, bytes: number): { line: number; text: string }[] {
    const found: { line: number; text: string }[] = [];
    let size = 0;
    const query = 'SELECT line, text FROM batch_results WHERE batch = ? AND failed = ? ORDER BY line LIMIT ?';
    for (const row of this.#sql.exec(query, batch, Number(failed), LIMITS.batchTurnLines)) {
      const text = String(row['text']);
      if (size > 0 && size + text.length > bytes) break;
      found.push({ line: Number(row['line']), text });
      size += text.length;
    }
    return found;
  }

  /** Results up to a line of one kind are in the file now. */
  forgetResults(batch: string, failed: boolean, upTo: number): void {
    const query =
      'DELETE FROM batch_results WHERE batch = ? AND failed = ? AND line <= ? RETURNING length(text) AS length';
    for (const row of this.#sql.exec(query, batch, Number(failed), upTo).toArray()) {
      this.#resultCharacters -= Number(row['length']);
    }
  }

  forgetLine(batch: string, line: number): void {
    this.#sql.exec('DELETE FROM batch_lines WHERE batch = ? AND line = ?', batch, line);
  }

  /** A part of what is kept of its lines; false: nothing is left. */
  forgetLines(batch: string): boolean {
    const query = `DELETE FROM batch_lines WHERE batch = ? AND line <=
      (SELECT min(line) FROM batch_lines WHERE batch = ?) + ? RETURNING line`;
    return this.#sql.exec(query, batch, batch, LIMITS.batchTurnLines).toArray().length > 0;
  }
}

const recordOf = (row: Row): BatchRecord => ({
  ...(JSON.parse(String(row['record'])) as BatchRecord),
  total: Number(row['total']),
  completed: Number(row['completed']),
  failed: Number(row['failed']),
});

const lineOf = (row: Row): BatchLine => ({
  line: Number(row['line']),
  start: Number(row['start']),
  length: Number(row['length']),
  customId: String(row['custom_id']),
});
