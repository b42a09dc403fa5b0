/**
 * What the Directory object keeps in its SQLite: models that may sleep, by namespace, and their files in pieces. Models are those
 * of one description of workers: started with another model, the deployment forgets them, or a request would wake what
 * cannot answer it.
 */

import { maySleep } from '../planner/may-sleep.ts';
import type { Settings } from '../runtime/config.ts';
import { LIMITS } from '../runtime/limits.ts';
import type { SleepersDisk } from './directory.ts';
import type { FilesDisk } from './file-keeper.ts';
import type { ModelEntry } from './rpc.ts';

const SLEEPERS =
  'CREATE TABLE IF NOT EXISTS sleepers (namespace TEXT PRIMARY KEY, described TEXT, models TEXT)';
const FILES = `
  CREATE TABLE IF NOT EXISTS kept_files (seq INTEGER PRIMARY KEY, sha256 TEXT UNIQUE, bytes INTEGER);
  CREATE TABLE IF NOT EXISTS kept_pieces (sha256 TEXT, piece INTEGER, data BLOB, PRIMARY KEY (sha256, piece));
`;

/** What decides which model the workers of these settings serve. */
function describe(settings: Settings): string {
  const { blockSize, context, engine, model, modelName, reasoningParser, tokenizer, toolCallParser } =
    settings;
  const said = [engine, model, modelName, tokenizer, context, blockSize, toolCallParser, reasoningParser];
  return JSON.stringify([maySleep(settings), ...said]);
}

export function sqlSleepers(sql: SqlStorage, settings: Settings): SleepersDisk {
  const described = describe(settings);
  sql.exec(SLEEPERS);
  sql.exec('DELETE FROM sleepers WHERE described <> ?', described);
  return {
    load() {
      const rows = sql.exec('SELECT namespace, models FROM sleepers').toArray();
      return new Map(
        rows.map(({ namespace, models }) => [String(namespace), JSON.parse(String(models)) as ModelEntry[]]),
      );
    },
    save(namespace, models) {
      if (models.length === 0) sql.exec('DELETE FROM sleepers WHERE namespace = ?', namespace);
      else {
        const values = [namespace, described, JSON.stringify(models)];
        sql.exec('INSERT OR REPLACE INTO sleepers VALUES (?, ?, ?)', ...values);
      }
    },
  };
}

export function sqlFiles(storage: Pick<DurableObjectStorage, 'sql' | 'transactionSync'>): FilesDisk {
  const { sql } = storage;
  sql.exec(FILES);
  return {
    list: () =>
      sql
        .exec('SELECT sha256, bytes FROM kept_files ORDER BY seq')
        .toArray()
        .map(({ sha256, bytes }) => ({ sha256: String(sha256), bytes: Number(bytes) })),
    piece(sha256, piece) {
      const query = 'SELECT data FROM kept_pieces WHERE sha256 = ? AND piece = ?';
      const data = sql.exec(query, sha256, piece).toArray()[0]?.['data'];
      return data instanceof ArrayBuffer ? new Uint8Array(data) : null;
    },
    write(sha256, data) {
      storage.transactionSync(() => {
        const size = LIMITS.keptFilePieceBytes;
        for (let piece = 0; piece * size < data.byteLength; piece++) {
          const bytes = data.slice(piece * size, (piece + 1) * size);
          sql.exec('INSERT OR REPLACE INTO kept_pieces VALUES (?, ?, ?)', sha256, piece, bytes);
        }
        sql.exec('INSERT OR REPLACE INTO kept_files (sha256, bytes) VALUES (?, ?)', sha256, data.byteLength);
      });
    },
    remove(sha256) {
      storage.transactionSync(() => {
        sql.exec('DELETE FROM kept_files WHERE sha256 = ?', sha256);
        sql.exec('DELETE FROM kept_pieces WHERE sha256 = ?', sha256);
      });
    },
  };
}
