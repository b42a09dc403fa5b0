/**
 * Responses in the object's SQLite: a row each. Its texts are in it as far as a row has room (2 MB), and behind that in
 * pieces of their own, which few have: a response is begun with one statement and ended with one. Every statement is one of
 * these; what they mean is in `conversations.ts`.
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
  /** Lengths of both texts. */
  inputLength: number;
  documentLength: number;
}

export type TextKind = 'input' | 'document';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS turns (
    id TEXT PRIMARY KEY, previous TEXT, state TEXT, background INTEGER, cancelled INTEGER, expires_ms INTEGER,
    lease_ms INTEGER, input_length INTEGER, document_length INTEGER, input TEXT, document TEXT
  );
  CREATE INDEX IF NOT EXISTS turns_by_end ON turns (expires_ms);
  CREATE TABLE IF NOT EXISTS pieces (id TEXT, kind TEXT, seq INTEGER, text TEXT, PRIMARY KEY (id, kind, seq));
`;

const COLUMNS =
  'id, previous, state, background, cancelled, expires_ms, lease_ms, input_length, document_length';

export class SqlDisk {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(SCHEMA);
  }

  totals(): { responses: number; length: number } {
    const query = 'SELECT count(*) AS responses, sum(input_length + document_length) AS length FROM turns';
    const row = this.#sql.exec(query).one();
    return { responses: Number(row['responses']), length: Number(row['length'] ?? 0) };
  }

  row(id: string): ResponseRow | null {
    const [row] = this.#sql.exec(`SELECT ${COLUMNS} FROM turns WHERE id = ?`, id).toArray();
    return row === undefined ? null : rowOf(row);
  }

  /** Those that end first. */
  oldest(count: number): ResponseRow[] {
    const query = `SELECT ${COLUMNS} FROM turns ORDER BY expires_ms LIMIT ?`;
    return this.#sql.exec(query, count).toArray().map(rowOf);
  }

  /** A response that is not there yet. */
  insert(row: ResponseRow, input: string, document: string): void {
    const texts = [input, document].map(firstPiece);
    const query = `INSERT INTO turns (${COLUMNS}, input, document) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;
    const { id, previous, state, expiresMs, leaseMs, inputLength, documentLength } = row;
    const flags = [Number(row.background), Number(row.cancelled)];
    this.#sql.exec(
      query,
      id,
      previous,
      state,
      ...flags,
      expiresMs,
      leaseMs,
      inputLength,
      documentLength,
      ...texts,
    );
    this.#putRest(id, 'input', input);
    this.#putRest(id, 'document', document);
  }

  lease(id: string, leaseMs: number): void {
    this.#sql.exec('UPDATE turns SET lease_ms = ? WHERE id = ?', leaseMs, id);
  }

  expire(id: string, expiresMs: number): void {
    this.#sql.exec('UPDATE turns SET expires_ms = ? WHERE id = ?', expiresMs, id);
  }

  /** `before` is the row as it was. */
  end(before: ResponseRow, end: { state: ResponseState; cancelled: boolean; document: string }): void {
    const { id } = before;
    const { state, cancelled, document } = end;
    this.#sql.exec(
      'UPDATE turns SET state = ?, cancelled = ?, document_length = ?, document = ? WHERE id = ?',
      state,
      Number(cancelled),
      document.length,
      firstPiece(document),
      id,
    );
    if (before.documentLength > LIMITS.storedPieceLength) {
      this.#sql.exec("DELETE FROM pieces WHERE id = ? AND kind = 'document'", id);
    }
    this.#putRest(id, 'document', document);
  }

  text(row: ResponseRow, kind: TextKind): string {
    const query = kind === 'input' ? 'SELECT input AS text' : 'SELECT document AS text';
    const first = String(this.#sql.exec(`${query} FROM turns WHERE id = ?`, row.id).one()['text']);
    const length = kind === 'input' ? row.inputLength : row.documentLength;
    if (first.length === length) return first;
    const rest = this.#sql.exec(
      'SELECT text FROM pieces WHERE id = ? AND kind = ? ORDER BY seq',
      row.id,
      kind,
    );
    let text = first;
    for (const { text: piece } of rest.toArray()) text += String(piece);
    return text;
  }

  remove(row: ResponseRow): void {
    this.#sql.exec('DELETE FROM turns WHERE id = ?', row.id);
    if (Math.max(row.inputLength, row.documentLength) > LIMITS.storedPieceLength) {
      this.#sql.exec('DELETE FROM pieces WHERE id = ?', row.id);
    }
  }

  #putRest(id: string, kind: TextKind, text: string): void {
    for (let from = endOfPiece(text, 0), seq = 1; from < text.length; seq++) {
      const to = endOfPiece(text, from);
      this.#sql.exec('INSERT INTO pieces VALUES (?, ?, ?, ?)', id, kind, seq, text.slice(from, to));
      from = to;
    }
  }
}

const firstPiece = (text: string): string => text.slice(0, endOfPiece(text, 0));

/** Not between the halves of a surrogate pair: SQLite keeps UTF-8. Never behind the most, so that a short text is one piece. */
function endOfPiece(text: string, from: number): number {
  const at = from + LIMITS.storedPieceLength;
  if (at >= text.length) return text.length;
  const code = text.charCodeAt(at - 1);
  return code >= 0xd800 && code < 0xdc00 ? at - 1 : at;
}

const rowOf = (row: Record<string, SqlStorageValue>): ResponseRow => ({
  id: String(row['id']),
  previous: row['previous'] === null ? null : String(row['previous']),
  state: String(row['state']) as ResponseState,
  background: row['background'] === 1,
  cancelled: row['cancelled'] === 1,
  expiresMs: Number(row['expires_ms']),
  leaseMs: Number(row['lease_ms']),
  inputLength: Number(row['input_length']),
  documentLength: Number(row['document_length']),
});
