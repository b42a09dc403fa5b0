/** The planner's disk: the newest order, and how many orders there were. */

import type { OutboxDisk } from './connectors/outbox.ts';
import type { KeptOrder } from './rpc.ts';

const SCHEMA = 'CREATE TABLE IF NOT EXISTS planner_values (name TEXT PRIMARY KEY, json TEXT)';

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
    const [row] = this.#storage.sql.exec('SELECT json FROM planner_values WHERE name = ?', name).toArray();
    return row === undefined ? null : JSON.parse(String(row['json']));
  }

  setValue(name: string, value: unknown): void {
    const query = 'INSERT OR REPLACE INTO planner_values VALUES (?, ?)';
    this.#storage.sql.exec(query, name, JSON.stringify(value));
  }
}
