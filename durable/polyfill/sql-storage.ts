/**
 * `ctx.storage.sql` on node:sqlite: `exec` with several statements and bindings for the last, and its cursor. Blobs come
 * back as ArrayBuffers, as in workerd. Not here: statements with semicolons inside (triggers).
 */

import type { DatabaseSync, SQLInputValue } from 'node:sqlite';

type SqlValue = ArrayBuffer | string | number | null;
type Row = Record<string, SqlValue>;

class SqlCursor {
  readonly columnNames: string[];
  readonly #rows: Row[];
  #at = 0;

  constructor(columnNames: string[], rows: Row[]) {
    this.columnNames = columnNames;
    this.#rows = rows;
  }

  next(): { done: false; value: Row } | { done: true } {
    const value = this.#rows[this.#at];
    if (value === undefined) return { done: true };
    this.#at++;
    return { done: false, value };
  }

  toArray(): Row[] {
    const rest = this.#rows.slice(this.#at);
    this.#at = this.#rows.length;
    return rest;
  }

  /** The only row; throws when there is none or more than one. */
  one(): Row {
    const rows = this.toArray();
    if (rows.length !== 1)
      throw new Error(`Expected exactly one result from SQL query, but got ${rows.length}`);
    return rows[0]!;
  }

  *raw(): IterableIterator<SqlValue[]> {
    for (const row of this.toArray()) yield this.columnNames.map((name) => row[name] ?? null);
  }

  *[Symbol.iterator](): IterableIterator<Row> {
    yield* this.toArray();
  }
}

export class SqlStorage {
  readonly #db: DatabaseSync;

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  exec(query: string, ...bindings: (SqlValue | ArrayBufferView)[]): SqlCursor {
    const statements = split(query);
    const last = statements.pop();
    if (last === undefined) throw new Error('SQL code did not contain a statement');
    for (const statement of statements) this.#db.exec(statement);
    const prepared = this.#db.prepare(last);
    const columnNames = prepared.columns().map(({ name }) => name);
    const rows = prepared.all(...bindings.map(toSqlite)) as Record<string, unknown>[];
    return new SqlCursor(columnNames, rows.map(fromSqlite));
  }

  get databaseSize(): number {
    const of = (pragma: string) => Number(this.exec(`PRAGMA ${pragma}`).one()[pragma]);
    return of('page_count') * of('page_size');
  }
}

const toSqlite = (value: SqlValue | ArrayBufferView): SQLInputValue =>
  value instanceof ArrayBuffer ? new Uint8Array(value) : (value as SQLInputValue);

function fromSqlite(row: Record<string, unknown>): Row {
  const result: Row = {};
  for (const [name, value] of Object.entries(row)) {
    result[name] = value instanceof Uint8Array ? value.slice().buffer : (value as SqlValue);
  }
  return result;
}

/** Statements of a script: cut at semicolons outside of quotes and comments, empty ones left out. */
function split(script: string): string[] {
  const token = /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\/|;|[^'"/;-]+|[/-]/g;
  const statements: string[] = [];
  let current = '';
  for (const [piece] of script.matchAll(token)) {
    if (piece === ';') {
      statements.push(current);
      current = '';
    } else if (!piece.startsWith('--') && !piece.startsWith('/*')) current += piece;
  }
  return [...statements, current].map((text) => text.trim()).filter((text) => text !== '');
}
