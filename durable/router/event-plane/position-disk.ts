/** Where in a kept stream of events the snapshots are, in the object's SQLite. */

export interface PositionDisk {
  /** Number of the last message that all snapshots include; null: nobody knows. */
  read(stream: string): number | null;
  write(stream: string, position: number): void;
}

/** `reset` drops what is there. */
export function sqlPositionDisk(sql: SqlStorage, options: { reset: boolean }): PositionDisk {
  if (options.reset) sql.exec('DROP TABLE IF EXISTS stream_positions');
  sql.exec('CREATE TABLE IF NOT EXISTS stream_positions (stream TEXT PRIMARY KEY, position INTEGER)');
  return {
    read(stream) {
      const [row] = sql.exec('SELECT position FROM stream_positions WHERE stream = ?', stream).toArray();
      return row === undefined ? null : Number(row['position']);
    },
    write(stream, position) {
      sql.exec('INSERT OR REPLACE INTO stream_positions VALUES (?, ?)', stream, position);
    },
  };
}
