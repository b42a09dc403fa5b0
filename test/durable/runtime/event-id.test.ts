/** The `id:` line of streamed events. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatEventId, parseEventId } from '../../../durable/runtime/event-id.ts';

test('an id line says the index and the tokens in base 36', () => {
  expect(formatEventId(7, [48, 87])).toBe('id: 7:1c.2f\n');
  expect(formatEventId(0, [])).toBe('id: 0:\n');
});

test('what is written is read back, for every index and every 32-bit token id', () => {
  const ids = fc.array(fc.integer({ min: 0, max: 0xffff_ffff }), { maxLength: 40 });
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 999_999_999 }), ids, (index, tokenIds) => {
      const line = formatEventId(index, Uint32Array.from(tokenIds));
      expect(parseEventId(line.slice('id: '.length, -1))).toEqual({ index, tokenIds });
    }),
  );
});

test.each(['', '7', ':', 'a:1', '1:1..2', '1:.', '1:A', '1:1 ', '-1:', '1:12345678'])(
  'a foreign id is not taken for one of ours: %j',
  (value) => expect(parseEventId(value)).toBeNull(),
);
