/**
 * Responses in the object's SQLite: a row each, and their texts in pieces, because a row has room for 2 MB. Every
 * statement is one of these; what they mean is in `conversations.ts`.
 */

import { LIMITS } from '../runtime/limits.ts';
import type { ResponseState } from './rpc.ts';

export interface ResponseRow {
  id: string;
  previous: string | null;
  state: ResponseState;
  background: boolean;
  /** Its client asked for its end. */
  cancelled: boolean;
  expiresMs: number;
  /** Without an end by then, nobody works on it any more. */
  leaseMs: number;
  /** Of both texts, in characters. */
  size: number;
}

export const TEXTS = ['input', 'document'] as const;
export type TextKind = (typeof TEXTS)[number];

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS responses (
    id TEXT PRIMARY KEY, previous TEXT, state TEXT, background INTEGER, cancelled INTEGER,
    expires_ms INTEGER, lease_ms INTEGER, size INTEGER
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS responses_by_end ON responses (expires_ms);
  CREATE TABLE IF NOT EXISTS texts (id TEXT, kind TEXT, seq INTEGER, text TEXT, PRIMARY KEY (id, kind, seq));
`;

export class SqlDisk {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(SCHEMA);
  }

  totals(): { responses: number; size: number } {
    const row = this.#sql.exec('SELECT count(*) AS responses, sum(size) AS size FROM responses').one();
    return { responses: Number(row['responses']), size: Number(row['size'] ?? 0) };
  }

  row(id: string): ResponseRow | null {
    const [row] = this.#sql.exec('SELECT * FROM responses WHERE id = ?', id).toArray();
    return row === undefined ? null : rowOf(row);
  }

  /** Those that end first. */
  oldest(count: number): ResponseRow[] {
    const found = this.#sql.exec('SELECT * FROM responses ORDER BY expires_ms LIMIT ?', count);
    return found.toArray().map(rowOf);
  }

  put(row: ResponseRow): void {
    this.#sql.exec(
      'INSERT OR REPLACE INTO responses VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
      row.id,
      row.previous,
      row.state,
      Number(row.background),
      Number(row.cancelled),
      row.expiresMs,
      row.leaseMs,
      row.size,
    );
  }

  text(id: string, kind: TextKind): string {
    const rows = this.#sql.exec('SELECT text FROM texts WHERE id = ? AND kind = ? ORDER BY seq', id, kind);
    return rows
      .toArray()
      .map((row) => String(row['text']))
      .join('');
  }

  putText(id: string, kind: TextKind, text: string): void {
    this.#sql.exec('DELETE FROM texts WHERE id = ? AND kind = ?', id, kind);
    for (let from = 0, seq = 0; from < text.length; seq++) {
      const to = wholeCharacters(text, from + LIMITS.storedPieceLength);
      this.#sql.exec('INSERT INTO texts VALUES (?, ?, ?, ?)', id, kind, seq, text.slice(from, to));
      from = to;
    }
  }

  remove(id: string): void {
    this.#sql.exec('DELETE FROM texts WHERE id = ?', id);
    this.#sql.exec('DELETE FROM responses WHERE id = ?', id);
  }
}

/** Not between the halves of a surrogate pair: SQLite keeps UTF-8. */
function wholeCharacters(text: string, at: number): number {
  const code = text.charCodeAt(at - 1);
  return at < text.length && code >= 0xd800 && code < 0xdc00 ? at + 1 : at;
}

const rowOf = (row: Record<string, SqlStorageValue>): ResponseRow => ({
  id: String(row['id']),
  previous: row['previous'] === null ? null : String(row['previous']),
  state: String(row['state']) as ResponseState,
  background: row['background'] === 1,
  cancelled: row['cancelled'] === 1,
  expiresMs: Number(row['expires_ms']),
  leaseMs: Number(row['lease_ms']),
  size: Number(row['size']),
});
