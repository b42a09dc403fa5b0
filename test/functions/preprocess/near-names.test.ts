/** Near names for an unknown model. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { editDistance, nearNames } from '../../../functions/preprocess/near-names.ts';

test.each([
  ['', '', 0],
  ['kitten', 'sitting', 3],
  ['flaw', 'lawn', 2],
  ['stator-tiny', 'stator-tyny', 1],
])('from %j to %j it is %i edits', (a, b, edits) => expect(editDistance(a, b)).toBe(edits));

test('the distance is symmetric, zero only between equals, and no longer than the longer', () => {
  const word = fc.string({ maxLength: 12 });
  fc.assert(
    fc.property(word, word, (a, b) => {
      const distance = editDistance(a, b);
      expect(distance).toBe(editDistance(b, a));
      expect(distance === 0).toBe(a === b);
      expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length));
    }),
  );
});

test('the nearest come first, at most three, and what is far is not named', () => {
  const known = ['llama-3-8b', 'llama-3-70b', 'qwen2.5', 'llama-2-7b', 'llama-3-8b-instruct', 'stator-tiny'];
  expect(nearNames('llama-3-8', known)[0]).toBe('llama-3-8b');
  expect(nearNames('llama-3-8', known).length).toBe(3);
  expect(nearNames('Stator-Tiny', known)).toEqual(['stator-tiny']);
  expect(nearNames('gpt-4o', ['stator-tiny'])).toEqual([]);
  expect(nearNames('qwen', known)).toContain('qwen2.5');
});
