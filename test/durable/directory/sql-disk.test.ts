/** What the Directory keeps on disk: sleepers of one description of workers, files of any length in pieces. */

import { expect, test } from 'vitest';
import { sqlFiles, sqlSleepers } from '../../../durable/directory/sql-disk.ts';
import { ObjectStorage } from '../../../durable/polyfill/object-storage.ts';
import { resolveSettings, type Settings } from '../../../durable/runtime/config.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { modelEntry } from './model-entry.ts';

const newStorage = () =>
  new ObjectStorage(ObjectStorage.emptyDatabase(), () => {}) as unknown as DurableObjectStorage;
const settings = (more: Partial<Settings> = {}): Settings => ({
  ...resolveSettings([]),
  planner: 'load',
  plannerMin: 0,
  ...more,
});

test('sleepers are there for the same description of workers, and forgotten for another', () => {
  const { sql } = newStorage();
  const models = [{ ...modelEntry('tiny'), sleeping: true as const }];
  sqlSleepers(sql, settings()).save('default', models);
  expect([...sqlSleepers(sql, settings({ routerMode: 'random' })).load()]).toEqual([['default', models]]);
  expect(sqlSleepers(sql, settings({ model: '/other.gguf' })).load().size).toBe(0);
  expect(sqlSleepers(sql, settings()).load().size).toBe(0);
  sqlSleepers(sql, settings()).save('default', models);
  expect(sqlSleepers(sql, settings({ plannerMin: 1 })).load().size).toBe(0);
});

test('an empty list removes a namespace', () => {
  const { sql } = newStorage();
  const disk = sqlSleepers(sql, settings());
  disk.save('default', [modelEntry('tiny')]);
  disk.save('default', []);
  expect(disk.load().size).toBe(0);
});

test('a file comes back whole, piece by piece, and is gone when it is removed', () => {
  const storage = newStorage();
  const data = Uint8Array.from({ length: 2 * LIMITS.keptFilePieceBytes + 7 }, (_, at) => at % 251);
  sqlFiles(storage).write('abc', data);
  const disk = sqlFiles(storage);
  expect(disk.list()).toEqual([{ sha256: 'abc', bytes: data.byteLength }]);
  const pieces = [0, 1, 2].map((piece) => disk.piece('abc', piece)!);
  expect(Buffer.concat(pieces).equals(Buffer.from(data))).toBe(true);
  expect(disk.piece('abc', 3)).toBeNull();
  disk.remove('abc');
  expect([disk.list(), disk.piece('abc', 0)]).toEqual([[], null]);
});
