/** What an isolate keeps of models' files, and when it lets go. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BoundedCache } from '../../../functions/preprocess/bounded-cache.ts';

test('the least recently used goes first, and is disposed of', () => {
  const gone: string[] = [];
  const cache = new BoundedCache<string>({ entries: 2, bytes: 100 }, (value) => gone.push(value));
  cache.put('a', 'A', 1);
  cache.put('b', 'B', 1);
  cache.get('a');
  cache.put('c', 'C', 1);
  expect(gone).toEqual(['B']);
  expect([cache.get('a'), cache.get('b'), cache.get('c')]).toEqual(['A', undefined, 'C']);
});

test('two requests that made the same thing keep the first; the second is disposed of', () => {
  const gone: string[] = [];
  const cache = new BoundedCache<string>({ entries: 2, bytes: 100 }, (value) => gone.push(value));
  expect(cache.put('a', 'first', 1)).toBe('first');
  expect(cache.put('a', 'second', 1)).toBe('first');
  expect(gone).toEqual(['second']);
});

test('what is larger than the bound is kept alone', () => {
  const cache = new BoundedCache<string>({ entries: 9, bytes: 10 });
  cache.put('a', 'A', 4);
  cache.put('huge', 'H', 99);
  expect([cache.get('a'), cache.get('huge')]).toEqual([undefined, 'H']);
});

test('bounds hold whatever is put and read, and nothing is disposed of twice', () => {
  const puts = fc.array(fc.record({ key: fc.integer({ min: 0, max: 9 }), bytes: fc.nat(60) }), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(puts, (operations) => {
      const gone = new Set<object>();
      const sizes = new Map<object, number>();
      const cache = new BoundedCache<object>({ entries: 4, bytes: 100 }, (value) => {
        expect(gone.has(value)).toBe(false);
        gone.add(value);
      });
      for (const { key, bytes } of operations) {
        const made = {};
        sizes.set(made, bytes);
        expect(gone.has(cache.put(String(key), made, bytes))).toBe(false);
        const alive = [...sizes].filter(([value]) => !gone.has(value));
        expect(alive.length).toBeLessThanOrEqual(4);
        if (alive.length > 1) expect(alive.reduce((sum, [, size]) => sum + size, 0)).toBeLessThanOrEqual(100);
      }
    }),
  );
});
