/** Files on the polyfill's SQLite: any part of one is found, limits hold, what was being sent does not survive a restart. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FileStore } from '../../../durable/batches/file-store.ts';
import { ObjectStorage } from '../../../durable/polyfill/object-storage.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';

const database = () => ObjectStorage.emptyDatabase();
const storeOn = (disk = database()) =>
  new FileStore(new ObjectStorage(disk, () => {}).sql as unknown as SqlStorage);
const META = { filename: 'a.jsonl', purpose: 'batch' as const, expiresMs: null };

describe('the file store', () => {
  it('finds any part of a file, whatever pieces it came in', () => {
    const pieces = fc.array(fc.uint8Array({ minLength: 1, maxLength: 9 }), { maxLength: 12 });
    fc.assert(
      fc.property(pieces, fc.nat(60), fc.nat(60), (parts, start, length) => {
        const store = storeOn();
        store.begin('f', 'sending', 0);
        for (const part of parts) expect(store.append('f', part, 0)).toBeNull();
        store.finish('f', META);
        const whole = Uint8Array.from(parts.flatMap((part) => [...part]));
        expect([...store.slice('f', start, length)]).toEqual([...whole.subarray(start, start + length)]);
        expect(store.get('f')?.bytes).toBe(whole.length);
      }),
      { numRuns: 50 },
    );
  });

  it('lists pages in both orders, only what is finished and of the purpose', () => {
    const store = storeOn();
    for (const id of ['a', 'b', 'c', 'd']) store.begin(id, 'sending', 0);
    for (const id of ['a', 'b', 'd']) store.finish(id, META);
    store.begin('e', 'writing', 0);
    store.finish('e', { ...META, purpose: 'batch_output' });
    const list = (query: object) => {
      const page = store.list({ after: null, limit: 2, order: 'desc', purpose: null, ...query });
      return page && [page.data.map(({ id }) => id), page.hasMore];
    };
    expect(list({})).toEqual([['e', 'd'], true]);
    expect(list({ after: 'd' })).toEqual([['b', 'a'], false]);
    expect(list({ order: 'asc' })).toEqual([['a', 'b'], true]);
    expect(list({ order: 'asc', after: 'b', purpose: 'batch' })).toEqual([['d'], false]);
    expect(list({ after: 'c' })).toBeNull();
  });

  it('refuses a file that grows too large, and takes its bytes back when it goes', () => {
    const store = storeOn();
    const piece = new Uint8Array(LIMITS.fileChunkBytes);
    store.begin('f', 'sending', 0);
    for (let i = 0; i < LIMITS.fileBytes / LIMITS.fileChunkBytes; i++) store.append('f', piece, 0);
    expect(store.append('f', Uint8Array.of(1), 0)).toMatchObject({ refused: 'body_too_large' });
    expect(store.bytes).toBe(LIMITS.fileBytes);
    expect(store.remove('f')).toBe(true);
    expect(store.bytes).toBe(0);
    expect(store.append('f', piece, 0)).toMatchObject({ refused: 'not_found' });
  });

  it('forgets senders that say nothing, with a restart all of them, and files whose time is over', () => {
    const disk = database();
    const store = storeOn(disk);
    store.begin('silent', 'sending', 0);
    store.append('silent', Uint8Array.of(1), 0);
    store.begin('other', 'sending', LIMITS.fileSilenceMs + 1);
    expect(store.bytes).toBe(0);
    store.append('other', Uint8Array.of(1), 0);
    store.begin('kept', 'sending', LIMITS.fileSilenceMs + 1);
    store.finish('kept', { ...META, expiresMs: 500 });
    store.begin('written', 'writing', 0);
    store.append('written', Uint8Array.of(1, 2), 0);
    const again = storeOn(disk);
    expect(again.bytes).toBe(2);
    expect(again.finish('other', META)).toBeNull();
    expect(again.sweep(499, () => true)).toBe(500);
    expect(again.get('kept')).not.toBeNull();
    expect(again.sweep(500, () => false)).toBe(500);
    expect(again.sweep(500, () => true)).toBeNull();
    expect(again.get('kept')).toBeNull();
    expect(again.finish('written', META)?.bytes).toBe(2);
  });
});
