/** The contract on the polyfill, and what needs time to pass. The contract in workerd: test/workers/durable. */
import { expect, test } from 'vitest';
import { Conversations } from '../../../durable/conversations/conversations-object.ts';
import { ObjectNamespace } from '../../../durable/polyfill/object-namespace.ts';
import { VirtualHost } from '../../../durable/polyfill/virtual-host.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import type { ConversationsStub } from '../../../functions/env.ts';
import {
  conversationsContract,
  ended,
  newResponse,
  statusOf,
} from '../../contract/conversations.contract.ts';

const host = new VirtualHost({ startMs: 1_000 });
const objects = new ObjectNamespace(Conversations, {
  env: {},
  host,
  report: (error) => {
    throw error;
  },
});
const stub = (name: string) => objects.getByName(name) as unknown as ConversationsStub;

conversationsContract(stub);

test('a restart loses nothing', async () => {
  await stub('restart').begin(newResponse('r1'));
  await stub('restart').finish('r1', 'completed', ended('r1'));
  objects.crash(objects.idFromName('restart'));
  expect(await stub('restart').read('r1')).toBe(ended('r1'));
});

test('a response lives its time, and a continued conversation anew', async () => {
  const object = stub('time');
  for (const id of ['r1', 'other']) {
    await object.begin(newResponse(id));
    await object.finish(id, 'completed', ended(id));
  }
  await host.advance(LIMITS.responseTtlMs - 1_000);
  await object.history('r1');
  await object.begin(newResponse('r2', { previous: 'r1' }));
  await object.finish('r2', 'completed', ended('r2'));
  await host.advance(2_000);
  expect(await object.read('other')).toBeNull();
  expect(await object.history('r2')).toHaveProperty('turns.length', 2);
  await host.advance(LIMITS.responseTtlMs);
  expect(await object.read('r2')).toBeNull();
});

test('the alarm deletes what nobody asks for', async () => {
  const object = stub('alarm');
  await object.begin(newResponse('r1'));
  await host.advance(LIMITS.responseTtlMs + LIMITS.responseSweepMs);
  // By the alarm, not by the question: the object would not read what is over.
  expect(await object.remove('r1')).toBe(false);
});

test('what nobody works on any more has failed', async () => {
  const object = stub('lease');
  await object.begin(newResponse('r1', { background: true }));
  const watched = object.watch('r1');
  await host.advance(LIMITS.responseWatchMs);
  expect(await watched).toBe('going');
  await host.advance(LIMITS.responseLeaseMs - 1);
  expect(statusOf(await object.read('r1'))).toBe('in_progress');
  await host.advance(1);
  expect(statusOf(await object.read('r1'))).toBe('failed');
  expect(await object.watch('r1')).toBe('ended');
});
