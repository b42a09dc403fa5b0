/**
 * `ctx.storage` in Node: keys and values, SQL and the alarm of one object, in one SQLite database, so that a transaction
 * covers all three. Values go through structured clone's own format. The database outlives the instance, as a disk would.
 */

import { DatabaseSync } from 'node:sqlite';
import { deserialize, serialize } from 'node:v8';
import { SqlStorage } from './sql-storage.ts';

export interface ListOptions {
  prefix?: string;
  start?: string;
  startAfter?: string;
  end?: string;
  limit?: number;
  reverse?: boolean;
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS _cf_KV (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS _cf_ALARM (id INTEGER PRIMARY KEY CHECK (id = 0), time_ms INTEGER);
`;

/** Microtasks between the end of an operation and the first step of whoever awaited it, with some to spare. */
const GATE_TURNS = 4;

export class ObjectStorage {
  readonly sql: SqlStorage;
  readonly #db: DatabaseSync;
  /** Called when the alarm was set or deleted. */
  readonly #alarmChanged: (dueMs: number | null) => void;
  #depth = 0;
  /** Operations that somebody still waits for. */
  #awaited = 0;

  constructor(db: DatabaseSync, alarmChanged: (dueMs: number | null) => void) {
    db.exec(SCHEMA);
    this.#db = db;
    this.sql = new SqlStorage(db);
    this.#alarmChanged = alarmChanged;
  }

  static emptyDatabase(): DatabaseSync {
    return new DatabaseSync(':memory:');
  }

  /**
   * Resolves when nobody waits for an operation any more: until then no other event of the object may begin (workerd's
   * input gate).
   */
  async quiet(): Promise<void> {
    while (this.#awaited > 0) await null;
  }

  /** Runs an operation at once; its result comes later, and until after that the gate is closed. */
  async #operation<T>(run: () => T): Promise<T> {
    this.#awaited++;
    try {
      return run();
    } finally {
      void this.#settle();
    }
  }

  /** Whoever awaits the operation goes on within these turns. */
  async #settle(): Promise<void> {
    for (let turn = 0; turn < GATE_TURNS; turn++) await null;
    this.#awaited--;
  }

  /** One value, or a map of those that are there. */
  get(keys: string | string[]): Promise<unknown> {
    return this.#operation(() => this.#get(keys));
  }

  #get(keys: string | string[]): unknown {
    if (typeof keys === 'string') return this.#read(keys);
    const found = keys.map((key) => [key, this.#read(key)] as const);
    return new Map(found.filter(([, value]) => value !== undefined).sort(([a], [b]) => compareUtf8(a, b)));
  }

  put(keyOrEntries: string | Record<string, unknown>, value?: unknown): Promise<void> {
    return this.#operation(() => this.#put(keyOrEntries, value));
  }

  #put(keyOrEntries: string | Record<string, unknown>, value: unknown): void {
    const entries = typeof keyOrEntries === 'string' ? { [keyOrEntries]: value } : keyOrEntries;
    this.transactionSync(() => {
      for (const [key, each] of Object.entries(entries)) {
        this.#db.prepare('INSERT OR REPLACE INTO _cf_KV VALUES (?, ?)').run(key, serialize(each));
      }
    });
  }

  /** Whether it was there; for several keys, how many were. */
  delete(keys: string | string[]): Promise<boolean | number> {
    return this.#operation(() => this.#delete(keys));
  }

  #delete(keys: string | string[]): boolean | number {
    const remove = (key: string) =>
      Number(this.#db.prepare('DELETE FROM _cf_KV WHERE key = ?').run(key).changes);
    if (typeof keys === 'string') return remove(keys) > 0;
    return keys.reduce((count, key) => count + remove(key), 0);
  }

  list(options: ListOptions = {}): Promise<Map<string, unknown>> {
    return this.#operation(() => this.#list(options));
  }

  #list(options: ListOptions): Map<string, unknown> {
    const { prefix = '', start = '', startAfter, end, limit = -1, reverse = false } = options;
    const rows = this.#db
      .prepare(
        `SELECT key, value FROM _cf_KV WHERE substr(key, 1, length(?1)) = ?1 AND key >= ?2
         AND (?3 IS NULL OR key > ?3) AND (?4 IS NULL OR key < ?4) ORDER BY key ${reverse ? 'DESC' : 'ASC'} LIMIT ?5`,
      )
      .all(prefix, start, startAfter ?? null, end ?? null, limit);
    return new Map(rows.map(({ key, value }) => [String(key), deserialize(value as Uint8Array)]));
  }

  /** Everything but the alarm, tables of the object's own included. */
  deleteAll(): Promise<void> {
    return this.#operation(() => this.#deleteAll());
  }

  #deleteAll(): void {
    const tables = this.sql.exec(
      "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '_cf_%'",
    );
    this.transactionSync(() => {
      for (const { name } of tables) this.#db.exec(`DROP TABLE "${String(name).replaceAll('"', '""')}"`);
      this.#db.exec('DELETE FROM _cf_KV');
    });
  }

  /** All or nothing; nests. */
  transactionSync<T>(closure: () => T): T {
    const name = `level_${this.#depth++}`;
    this.#db.exec(`SAVEPOINT ${name}`);
    try {
      const result = closure();
      this.#db.exec(`RELEASE ${name}`);
      return result;
    } catch (thrown) {
      this.#db.exec(`ROLLBACK TO ${name}; RELEASE ${name}`);
      throw thrown;
    } finally {
      this.#depth--;
    }
  }

  getAlarm(): Promise<number | null> {
    return this.#operation(() => {
      const row = this.#db.prepare('SELECT time_ms FROM _cf_ALARM').get();
      return row === undefined ? null : Number(row['time_ms']);
    });
  }

  setAlarm(time: number | Date): Promise<void> {
    return this.#operation(() => {
      const dueMs = Number(time);
      this.#db.prepare('INSERT OR REPLACE INTO _cf_ALARM VALUES (0, ?)').run(dueMs);
      this.#alarmChanged(dueMs);
    });
  }

  deleteAlarm(): Promise<void> {
    return this.#operation(() => {
      this.#db.exec('DELETE FROM _cf_ALARM');
      this.#alarmChanged(null);
    });
  }

  /** Everything is on disk at once here. */
  async sync(): Promise<void> {}

  #read(key: string): unknown {
    const row = this.#db.prepare('SELECT value FROM _cf_KV WHERE key = ?').get(key);
    return row === undefined ? undefined : deserialize(row['value'] as Uint8Array);
  }
}

const compareUtf8 = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));
