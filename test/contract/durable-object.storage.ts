/** What an object may rely on in its storage: part of the contract suite of `durable-object.contract.ts`. */

import { expect, test } from 'vitest';

/** Runs a test inside an object with empty storage. */
export type WithStorage = (body: (storage: DurableObjectStorage) => Promise<void>) => Promise<void>;

export function storageCases(withStorage: WithStorage): void {
  test('values come back as they were put, by structured clone', () =>
    withStorage(async (storage) => {
      const value = {
        text: 'a',
        bytes: Uint8Array.of(1, 2),
        map: new Map([[1, new Date(5)]]),
        big: 2n ** 70n,
      };
      await storage.put('key', value);
      expect(await storage.get('key')).toEqual(value);
      expect(await storage.get('other')).toBeUndefined();
    }));

  test('several keys at once', () =>
    withStorage(async (storage) => {
      await storage.put({ b: 2, a: 1, c: 3 });
      expect([...(await storage.get(['c', 'a', 'x']))]).toEqual([
        ['a', 1],
        ['c', 3],
      ]);
      expect(await storage.delete('a')).toBe(true);
      expect(await storage.delete('a')).toBe(false);
      expect(await storage.delete(['a', 'b', 'c'])).toBe(2);
    }));

  test('list is in order of UTF-8 bytes, between bounds', () =>
    withStorage(async (storage) => {
      await storage.put({ b2: 0, b1: 0, é: 0, a: 0, B: 0, c: 0 });
      const keys = async (options: DurableObjectListOptions) => [...(await storage.list(options)).keys()];
      expect(await keys({})).toEqual(['B', 'a', 'b1', 'b2', 'c', 'é']);
      expect(await keys({ prefix: 'b' })).toEqual(['b1', 'b2']);
      expect(await keys({ start: 'b1', end: 'c' })).toEqual(['b1', 'b2']);
      expect(await keys({ startAfter: 'b1', limit: 2 })).toEqual(['b2', 'c']);
      expect(await keys({ reverse: true, limit: 2 })).toEqual(['é', 'c']);
    }));

  test('SQL: several statements, bindings for the last, every way to read a cursor', () =>
    withStorage(async ({ sql }) => {
      sql.exec(`CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT, data BLOB); -- a comment; with a semicolon
        INSERT INTO t VALUES (1, 'it''s; one', NULL)`);
      sql.exec('INSERT INTO t VALUES (?, ?, ?)', 2, 'two', Uint8Array.of(7, 8).buffer);
      const cursor = sql.exec('SELECT id, text FROM t ORDER BY id');
      expect(cursor.columnNames).toEqual(['id', 'text']);
      expect(cursor.next()).toMatchObject({ done: false, value: { id: 1, text: "it's; one" } });
      expect(cursor.toArray()).toEqual([{ id: 2, text: 'two' }]);
      expect(cursor.next().done).toBe(true);
      expect([...sql.exec('SELECT id, text FROM t').raw()]).toEqual([
        [1, "it's; one"],
        [2, 'two'],
      ]);
      const { data } = sql.exec('SELECT data FROM t WHERE id = 2').one();
      expect(data).toBeInstanceOf(ArrayBuffer);
      expect([...new Uint8Array(data as ArrayBuffer)]).toEqual([7, 8]);
      expect(() => sql.exec('SELECT id FROM t').one()).toThrow();
      expect(() => sql.exec('SELECT x FROM nowhere')).toThrow('nowhere');
      expect(sql.databaseSize).toBeGreaterThan(0);
    }));

  test('a transaction that throws leaves nothing behind, nested or not', () =>
    withStorage(async (storage) => {
      storage.sql.exec('CREATE TABLE t (id INTEGER)');
      const insert = (id: number) => storage.sql.exec('INSERT INTO t VALUES (?)', id);
      const fail = () =>
        storage.transactionSync(() => {
          insert(2);
          throw new Error('no');
        });
      storage.transactionSync(() => {
        insert(1);
        expect(fail).toThrow('no');
      });
      expect(storage.sql.exec('SELECT id FROM t').toArray()).toEqual([{ id: 1 }]);
    }));

  test('deleteAll removes keys and tables', () =>
    withStorage(async (storage) => {
      storage.sql.exec('CREATE TABLE t (id INTEGER)');
      await storage.put('key', 1);
      await storage.deleteAll();
      expect((await storage.list()).size).toBe(0);
      expect(() => storage.sql.exec('SELECT id FROM t')).toThrow();
    }));

  test('the alarm is one time, set, replaced, deleted', () =>
    withStorage(async (storage) => {
      const later = Date.now() + 3_600_000;
      expect(await storage.getAlarm()).toBeNull();
      await storage.setAlarm(later);
      await storage.setAlarm(new Date(later + 5));
      expect(await storage.getAlarm()).toBe(later + 5);
      await storage.deleteAlarm();
      expect(await storage.getAlarm()).toBeNull();
    }));
}
