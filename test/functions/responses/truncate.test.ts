/** Oldest turns go first; instructions and the last turn never. */
import { expect, test } from 'vitest';
import type { ChatMessage } from '../../../functions/inference-request.ts';
import { withoutOldest } from '../../../functions/responses/truncate.ts';

const message = (text: string): ChatMessage => {
  const [role, content] = text.split(' ');
  return { role: role!, content: content! };
};
const shortened = (...texts: string[]) =>
  withoutOldest(texts.map(message))?.map(({ role, content }) => `${role} ${content}`) ?? null;

test('a turn with all that belongs to it goes', () => {
  expect(shortened('system s', 'user 1', 'assistant 1', 'tool 1', 'assistant 1', 'user 2')).toEqual([
    'system s',
    'user 2',
  ]);
});

test('a quarter goes at once, and in the end only one turn is left', () => {
  let texts: string[] | null = ['system s', ...Array.from({ length: 12 }, (_, at) => `user ${at}`)];
  const lengths: number[] = [];
  for (let next = shortened(...texts); next !== null; next = shortened(...texts)) {
    texts = next;
    lengths.push(texts.length - 1);
  }
  expect(lengths).toEqual([9, 7, 5, 4, 3, 2, 1]);
  expect(texts).toEqual(['system s', 'user 11']);
});

test('what is but one turn stays', () => {
  expect(shortened('system s')).toBeNull();
  expect(shortened('developer d', 'user 1', 'assistant 1')).toBeNull();
  expect(shortened('assistant 0', 'user 1')).toBeNull();
});
