/**
 * Snapshots in the object's SQLite: a row for each rank that has a whole one, and its chunks.
 *
 * Chunks are written in place. The head goes before the first chunk changes and comes back after the last, so a rank
 * with a head has all its chunks, whenever the process died. Every call is one small write: never more than a chunk a turn.
 */

export interface SnapshotKey {
  instanceId: string;
  dpRank: number;
}

export interface SnapshotHead extends SnapshotKey {
  epoch: number;
  lastEventId: number;
  chunks: number;
}

/** Where snapshots are kept; a test has one in memory. */
export interface SnapshotDisk {
  heads(): SnapshotHead[];
  /** The chunk, or null when it is not there. */
  read(key: SnapshotKey, seq: number): Uint8Array | null;
  /** From now on until `commit` this rank has no snapshot. */
  begin(key: SnapshotKey): void;
  write(key: SnapshotKey, seq: number, chunk: Uint8Array): void;
  commit(head: SnapshotHead): void;
  forget(key: SnapshotKey): void;
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS snapshot_heads (
    instance TEXT, dp_rank INTEGER, epoch INTEGER, last_event_id INTEGER, chunks INTEGER,
    PRIMARY KEY (instance, dp_rank)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS snapshot_chunks (
    instance TEXT, dp_rank INTEGER, seq INTEGER, bytes BLOB,
    PRIMARY KEY (instance, dp_rank, seq)
  );
`;

/** `reset` drops what is there. */
export function sqlSnapshotDisk(sql: SqlStorage, options: { reset: boolean }): SnapshotDisk {
  if (options.reset) sql.exec('DROP TABLE IF EXISTS snapshot_heads; DROP TABLE IF EXISTS snapshot_chunks');
  sql.exec(SCHEMA);
  return {
    heads: () =>
      sql
        .exec('SELECT instance, dp_rank, epoch, last_event_id, chunks FROM snapshot_heads')
        .toArray()
        .map((row) => ({
          instanceId: String(row['instance']),
          dpRank: Number(row['dp_rank']),
          epoch: Number(row['epoch']),
          lastEventId: Number(row['last_event_id']),
          chunks: Number(row['chunks']),
        })),
    read({ instanceId, dpRank }, seq) {
      const [row] = sql
        .exec(
          'SELECT bytes FROM snapshot_chunks WHERE instance = ? AND dp_rank = ? AND seq = ?',
          instanceId,
          dpRank,
          seq,
        )
        .toArray();
      const bytes = row?.['bytes'];
      return bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : null;
    },
    begin({ instanceId, dpRank }) {
      sql.exec('DELETE FROM snapshot_heads WHERE instance = ? AND dp_rank = ?', instanceId, dpRank);
    },
    write({ instanceId, dpRank }, seq, chunk) {
      sql.exec('INSERT OR REPLACE INTO snapshot_chunks VALUES (?, ?, ?, ?)', instanceId, dpRank, seq, chunk);
    },
    commit({ instanceId, dpRank, epoch, lastEventId, chunks }) {
      sql.exec(
        'INSERT OR REPLACE INTO snapshot_heads VALUES (?, ?, ?, ?, ?)',
        instanceId,
        dpRank,
        epoch,
        lastEventId,
        chunks,
      );
      const behind = 'DELETE FROM snapshot_chunks WHERE instance = ? AND dp_rank = ? AND seq >= ?';
      sql.exec(behind, instanceId, dpRank, chunks);
    },
    forget({ instanceId, dpRank }) {
      this.begin({ instanceId, dpRank });
      sql.exec('DELETE FROM snapshot_chunks WHERE instance = ? AND dp_rank = ?', instanceId, dpRank);
    },
  };
}
