/** Bounds of stored responses: how many, how large, how long a conversation. */
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { Conversations } from '../../../durable/conversations/conversations.ts';
import { SqlDisk } from '../../../durable/conversations/sql-disk.ts';
import { SqlStorage } from '../../../durable/polyfill/sql-storage.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { ended, newResponse } from '../../contract/conversations.contract.ts';

const opened = () => {
  const disk = new SqlDisk(new SqlStorage(new DatabaseSync(':memory:')) as never);
  return new Conversations(disk);
};

test('past the most responses, the one that ends first goes', () => {
  const kept = opened();
  for (let at = 0; at <= LIMITS.storedResponses; at++) kept.begin(newResponse(`r${at}`), at);
  expect(kept.responses).toBe(LIMITS.storedResponses);
  expect(kept.read('r0', 0)).toBeNull();
  expect(kept.read('r1', 0)).not.toBeNull();
});

test('past the most characters, too, and one that is too large is not kept', () => {
  const kept = opened();
  const input = 'x'.repeat(LIMITS.storedResponseLength - 100);
  const fit = Math.floor(LIMITS.storedLength / LIMITS.storedResponseLength);
  for (let at = 0; at <= fit; at++) expect(kept.begin(newResponse(`r${at}`, { input }), at)).toBe(true);
  expect(kept.responses).toBe(fit);
  expect(kept.read('r0', 0)).toBeNull();
  expect(kept.begin(newResponse('large', { input: `${input}${'x'.repeat(200)}` }), 0)).toBe(false);
});

test('an answer that is too large to be kept has failed', () => {
  const kept = opened();
  kept.begin(newResponse('r1'), 0);
  expect(kept.finish('r1', 'completed', 'x'.repeat(LIMITS.storedResponseLength + 1))).toBe(false);
  expect(kept.read('r1', 0)).toContain('"failed"');
});

test('a conversation has its most turns', () => {
  const kept = opened();
  for (let at = 0; at <= LIMITS.conversationTurns; at++) {
    kept.begin(newResponse(`r${at}`, { previous: at === 0 ? null : `r${at - 1}` }), 0);
    kept.finish(`r${at}`, 'completed', ended(`r${at}`));
  }
  const last = LIMITS.conversationTurns;
  expect(kept.history(`r${last - 1}`, 0)).toHaveProperty('turns.length', last);
  expect(kept.history(`r${last}`, 0)).toEqual({ refused: 'too_long', id: `r${last}` });
});

test('a sweep deletes at most its share, and says when to come again', () => {
  const kept = opened();
  const count = LIMITS.sweptResponses + 5;
  for (let at = 0; at < count; at++) kept.begin(newResponse(`r${at}`), at);
  expect(kept.sweep(LIMITS.responseTtlMs + count)).toBe(LIMITS.responseTtlMs + LIMITS.sweptResponses);
  expect(kept.responses).toBe(5);
  expect(kept.sweep(LIMITS.responseTtlMs + count)).toBeNull();
});
