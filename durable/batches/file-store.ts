/**
 * Files in the object's SQLite: a row each, and their bytes in chunks, which know where they begin, so that any part is
 * found without reading the rest. A file is `sending` while a client sends it and `writing` while a batch writes it; both
 * are seen by nobody else. What was being sent when the object restarted is gone with its sender.
 */

import { LIMITS } from '../runtime/limits.ts';
import type { FileQuery, FileRecord, NewFile, Page, Refused } from './rpc.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS files (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, state TEXT, filename TEXT, purpose TEXT,
    bytes INTEGER, chunks INTEGER, created_ms INTEGER, expires_ms INTEGER, heard_ms INTEGER
  );
  CREATE TABLE IF NOT EXISTS file_chunks (
    file TEXT, seq INTEGER, start INTEGER, bytes BLOB, PRIMARY KEY (file, seq)
  );
  CREATE INDEX IF NOT EXISTS file_chunks_by_start ON file_chunks (file, start);
  DELETE FROM file_chunks WHERE file IN (SELECT id FROM files WHERE state = 'sending');
  DELETE FROM files WHERE state = 'sending';
`;

type Row = Record<string, SqlStorageValue>;

interface Chunk {
  file: string;
  start: number;
  bytes: Uint8Array;
}

export class FileStore {
  readonly #sql: SqlStorage;
  #files = 0;
  #bytes = 0;
  /** The last one that `slice` read. */
  #read: Chunk | null = null;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(SCHEMA);
    const row = sql.exec('SELECT count(*) AS files, sum(bytes) AS bytes FROM files').one();
    this.#files = Number(row['files']);
    this.#bytes = Number(row['bytes'] ?? 0);
  }

  /** Of all files, unfinished ones included. */
  get bytes(): number {
    return this.#bytes;
  }

  begin(id: string, state: 'sending' | 'writing', nowMs: number): Refused | null {
    this.#forgetSilent(nowMs);
    if (state === 'sending' && this.#files >= LIMITS.files) return full(`${LIMITS.files} files`);
    this.#files++;
    this.#sql.exec(
      'INSERT INTO files (id, state, filename, purpose, bytes, chunks, created_ms, heard_ms) VALUES (?, ?, ?, ?, 0, 0, ?, ?)',
      id,
      state,
      '',
      '',
      nowMs,
      nowMs,
    );
    return null;
  }

  append(id: string, bytes: Uint8Array, nowMs: number): Refused | null {
    const row = this.#row(id, false);
    if (row === null) return { refused: 'not_found', message: `No file '${id}' is being sent.` };
    const size = Number(row['bytes']) + bytes.byteLength;
    if (row['state'] === 'sending') {
      if (bytes.byteLength > LIMITS.fileChunkBytes) throw new RangeError('a chunk is too large');
      if (size > LIMITS.fileBytes) {
        const message = `The file is larger than ${LIMITS.fileBytes} bytes.`;
        return { refused: 'body_too_large', message, param: 'file' };
      }
      if (this.#bytes + bytes.byteLength > LIMITS.storedFileBytes)
        return full(`${LIMITS.storedFileBytes} bytes`);
    }
    const insert = 'INSERT INTO file_chunks VALUES (?, ?, ?, ?)';
    this.#sql.exec(insert, id, Number(row['chunks']), Number(row['bytes']), bytes);
    const update = 'UPDATE files SET bytes = ?, chunks = chunks + 1, heard_ms = ? WHERE id = ?';
    this.#sql.exec(update, size, nowMs, id);
    this.#bytes += bytes.byteLength;
    return null;
  }

  /** From now on everybody sees it. Null: it was not begun. */
  finish(id: string, { filename, purpose, expiresMs }: NewFile): FileRecord | null {
    if (this.#row(id, false) === null) return null;
    const update = "UPDATE files SET state = 'ready', filename = ?, purpose = ?, expires_ms = ? WHERE id = ?";
    this.#sql.exec(update, filename, purpose, expiresMs, id);
    return this.get(id);
  }

  get(id: string): FileRecord | null {
    const row = this.#row(id, true);
    return row === null ? null : recordOf(row);
  }

  list({ after, limit, order, purpose }: FileQuery): Page<FileRecord> | null {
    const last = after === null ? null : this.#row(after, true);
    if (after !== null && last === null) return null;
    const [compare, start] = order === 'desc' ? ['<', Number.MAX_SAFE_INTEGER] : ['>', 0];
    const rows = this.#sql
      .exec(
        `SELECT * FROM files WHERE state = 'ready' AND seq ${compare} ? AND (? IS NULL OR purpose = ?) ORDER BY seq ${order} LIMIT ?`,
        Number(last?.['seq'] ?? start),
        purpose,
        purpose,
        limit + 1,
      )
      .toArray();
    return { data: rows.slice(0, limit).map(recordOf), hasMore: rows.length > limit };
  }

  chunk(id: string, seq: number): Uint8Array | null {
    const [row] = this.#sql
      .exec('SELECT bytes FROM file_chunks WHERE file = ? AND seq = ?', id, seq)
      .toArray();
    return row === undefined ? null : new Uint8Array(row['bytes'] as ArrayBuffer);
  }

  /** `length` bytes from `start`; fewer where the file ends. Who reads on finds the chunk of the last call at hand. */
  slice(id: string, start: number, length: number): Uint8Array {
    const result = new Uint8Array(length);
    let at = 0;
    for (
      let chunk = this.#chunkAt(id, start);
      at < length && chunk !== null;
      chunk = this.#chunkAt(id, start + at)
    ) {
      const skip = start + at - chunk.start;
      const part = chunk.bytes.subarray(skip, skip + length - at);
      if (part.byteLength === 0) break;
      result.set(part, at);
      at += part.byteLength;
    }
    return result.subarray(0, at);
  }

  /** The chunk that holds this place, or the last one. */
  #chunkAt(id: string, place: number): Chunk | null {
    const read = this.#read;
    if (read?.file === id && place >= read.start && place < read.start + read.bytes.byteLength) return read;
    const query =
      'SELECT start, bytes FROM file_chunks WHERE file = ? AND start <= ? ORDER BY start DESC LIMIT 1';
    const [row] = this.#sql.exec(query, id, place).toArray();
    if (row === undefined) return null;
    const bytes = new Uint8Array(row['bytes'] as ArrayBuffer);
    this.#read = { file: id, start: Number(row['start']), bytes };
    return this.#read;
  }

  /** In whatever state. False: there is none. */
  remove(id: string): boolean {
    const [row] = this.#sql.exec('SELECT bytes FROM files WHERE id = ?', id).toArray();
    if (row === undefined) return false;
    this.#sql.exec('DELETE FROM file_chunks WHERE file = ?', id);
    this.#sql.exec('DELETE FROM files WHERE id = ?', id);
    if (this.#read?.file === id) this.#read = null;
    this.#files--;
    this.#bytes -= Number(row['bytes']);
    return true;
  }

  /** Removes a few of those whose time is over and says when the next one's is; null: none has an end. */
  sweep(nowMs: number, mayGo: (id: string) => boolean): number | null {
    const over = 'SELECT id FROM files WHERE expires_ms <= ? ORDER BY expires_ms LIMIT ?';
    for (const row of this.#sql.exec(over, nowMs, LIMITS.sweptFiles).toArray()) {
      if (mayGo(String(row['id']))) this.remove(String(row['id']));
    }
    const next = this.#sql.exec('SELECT min(expires_ms) AS next FROM files').one()['next'];
    return next === null ? null : Number(next);
  }

  #row(id: string, ready: boolean): Row | null {
    const [row] = this.#sql.exec('SELECT * FROM files WHERE id = ?', id).toArray();
    return row !== undefined && (row['state'] === 'ready') === ready ? row : null;
  }

  /** Senders that said nothing for long are gone. */
  #forgetSilent(nowMs: number): void {
    const silent = "SELECT id FROM files WHERE state = 'sending' AND heard_ms < ?";
    for (const row of this.#sql.exec(silent, nowMs - LIMITS.fileSilenceMs).toArray()) {
      this.remove(String(row['id']));
    }
  }
}

const full = (what: string): Refused => ({
  refused: 'invalid_request',
  message: `This deployment keeps ${what}, its limit: delete files that are not needed.`,
  param: 'file',
});

const recordOf = (row: Row): FileRecord => ({
  id: String(row['id']),
  filename: String(row['filename']),
  purpose: String(row['purpose']) as FileRecord['purpose'],
  bytes: Number(row['bytes']),
  createdMs: Number(row['created_ms']),
  expiresMs: row['expires_ms'] === null ? null : Number(row['expires_ms']),
});
