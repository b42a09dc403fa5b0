/**
 * The planner's disk: its state, the newest order, and the log of decisions. What a look changes is written together or not at
 * all. The log is bounded in number and bytes; every so many decisions it has the state before, from which those that
 * follow can be decided again.
 */

import { LIMITS } from '../runtime/limits.ts';
import type { OutboxDisk } from './connectors/outbox.ts';
import type { Execution } from './execute.ts';
import type { DecisionRecord, KeptOrder, LogStart } from './rpc.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS planner_values (name TEXT PRIMARY KEY, json TEXT);
  CREATE TABLE IF NOT EXISTS planner_decisions (id INTEGER PRIMARY KEY, bytes INTEGER, json TEXT, outcome TEXT, why TEXT);
  CREATE TABLE IF NOT EXISTS planner_starts (id INTEGER PRIMARY KEY, json TEXT);
  CREATE TABLE IF NOT EXISTS planner_profiles (id INTEGER PRIMARY KEY, json TEXT);
`;

export class SqlDisk {
  readonly #storage: Pick<DurableObjectStorage, 'sql' | 'transactionSync'>;

  constructor(storage: Pick<DurableObjectStorage, 'sql' | 'transactionSync'>) {
    this.#storage = storage;
    storage.sql.exec(SCHEMA);
  }

  get outbox(): OutboxDisk {
    return {
      read: () => this.value('outbox') as KeptOrder | null,
      write: (kept) => this.setValue('outbox', kept),
    };
  }

  /** Null: never set. */
  value(name: string): unknown {
    const [row] = this.#rows('SELECT json FROM planner_values WHERE name = ?', name);
    return row === undefined ? null : JSON.parse(String(row['json']));
  }

  setValue(name: string, value: unknown): void {
    const query = 'INSERT OR REPLACE INTO planner_values VALUES (?, ?)';
    this.#storage.sql.exec(query, name, JSON.stringify(value));
  }

  /** All of it or nothing. */
  together(write: () => void): void {
    this.#storage.transactionSync(write);
  }

  get lastDecision(): number {
    return Number(this.#rows('SELECT MAX(id) AS id FROM planner_decisions')[0]?.['id'] ?? 0);
  }

  /** `start`: the state before it, and what it was decided with; null between two of these. */
  addDecision(record: DecisionRecord, start: LogStart | null): void {
    const { sql } = this.#storage;
    const { id, outcome, why, ...rest } = record;
    const json = JSON.stringify(rest);
    sql.exec('INSERT INTO planner_decisions VALUES (?, ?, ?, ?, ?)', id, json.length, json, outcome, why);
    if (start !== null) sql.exec('INSERT INTO planner_starts VALUES (?, ?)', id, JSON.stringify(start));
    this.#forget(id);
  }

  setOutcome({ id, outcome, why }: Pick<Execution, 'id' | 'outcome' | 'why'>): void {
    this.#storage.sql.exec(
      'UPDATE planner_decisions SET outcome = ?, why = ? WHERE id = ?',
      outcome,
      why,
      id,
    );
  }

  /** The first ones after `after`, or the last ones before `before`; in rising order. */
  decisions({ after, before, limit }: { after?: number; before?: number; limit: number }): DecisionRecord[] {
    const query = 'SELECT id, json, outcome, why FROM planner_decisions WHERE';
    const rows =
      after === undefined
        ? this.#rows(
            `${query} id < ? ORDER BY id DESC LIMIT ?`,
            before ?? Number.MAX_SAFE_INTEGER,
            limit,
          ).reverse()
        : this.#rows(`${query} id > ? ORDER BY id LIMIT ?`, after, limit);
    return rows.map((row) => ({
      ...(JSON.parse(String(row['json'])) as Omit<DecisionRecord, 'id' | 'outcome' | 'why'>),
      id: Number(row['id']),
      outcome: row['outcome'] as DecisionRecord['outcome'],
      why: String(row['why']),
    }));
  }

  /** Null: there is none for this decision. */
  start(id: number): LogStart | null {
    const [row] = this.#rows('SELECT json FROM planner_starts WHERE id = ?', id);
    return row === undefined ? null : (JSON.parse(String(row['json'])) as LogStart);
  }

  profile(id: number): unknown {
    const [row] = this.#rows('SELECT json FROM planner_profiles WHERE id = ?', id);
    return row === undefined ? null : JSON.parse(String(row['json']));
  }

  /** The number under which a profile is kept. */
  keepProfile(profile: unknown): number {
    const json = JSON.stringify(profile);
    const [last] = this.#rows('SELECT id, json FROM planner_profiles ORDER BY id DESC LIMIT 1');
    if (last?.['json'] === json) return Number(last['id']);
    const id = Number(last?.['id'] ?? 0) + 1;
    this.#storage.sql.exec('INSERT INTO planner_profiles VALUES (?, ?)', id, json);
    const kept = id - LIMITS.plannerProfiles;
    this.#storage.sql.exec('DELETE FROM planner_profiles WHERE id <= ?', kept);
    return id;
  }

  #forget(newest: number): void {
    const { sql } = this.#storage;
    sql.exec('DELETE FROM planner_decisions WHERE id <= ?', newest - LIMITS.plannerDecisions);
    for (;;) {
      const [sums] = this.#rows('SELECT SUM(bytes) AS bytes, COUNT(*) AS count FROM planner_decisions');
      const { bytes, count } = sums!;
      if (Number(bytes) <= LIMITS.plannerDecisionBytes || Number(count) <= 1) break;
      const some = Math.ceil(Number(count) / 8);
      sql.exec(
        'DELETE FROM planner_decisions WHERE id IN (SELECT id FROM planner_decisions WHERE id < ? ORDER BY id LIMIT ?)',
        newest,
        some,
      );
    }
    sql.exec('DELETE FROM planner_starts WHERE id NOT IN (SELECT id FROM planner_decisions)');
  }

  #rows(query: string, ...bindings: (string | number)[]): Record<string, SqlStorageValue>[] {
    return this.#storage.sql.exec(query, ...bindings).toArray();
  }
}
