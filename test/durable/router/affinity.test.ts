/** Are sessions remembered up to their bound, the longest silent going first? */

import { expect, test } from 'vitest';
import { SessionAffinity } from '../../../durable/router/affinity.ts';
import { parseRegistration } from '../../../durable/router/registration.ts';
import { Workers } from '../../../durable/router/workers.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { testPolicy } from './core-harness.ts';
import { registerMessage } from './fleet-worker.ts';
import { hashes, naiveIndexes } from './naive-indexes.ts';

const request = (id: string, final = false) => ({
  requestId: 'req_1',
  model: 'tiny',
  blockHashes: hashes(),
  promptTokens: 1,
  session: { id, final },
});

function rank() {
  const workers = new Workers(naiveIndexes, testPolicy());
  return workers.add(parseRegistration(registerMessage()), 0).ranks[0]!;
}

test('past the bound the longest silent is forgotten', () => {
  const affinity = new SessionAffinity(1_000);
  const bound = rank();
  for (let i = 0; i < LIMITS.affinitySessions; i++) affinity.bind(bound, request(`s${i}`), 0);
  affinity.bind(bound, request('s0'), 1);
  affinity.bind(bound, request('new'), 1);
  expect(affinity.size).toBe(LIMITS.affinitySessions);
  expect(affinity.find([bound], request('s0'), 1)).toBe(bound);
  expect(affinity.find([bound], request('s1'), 1)).toBeUndefined();
});

test('sessions that ran out are forgotten when others speak', () => {
  const affinity = new SessionAffinity(1_000);
  const bound = rank();
  for (const id of ['a', 'b', 'c']) affinity.bind(bound, request(id), 0);
  affinity.bind(bound, request('d'), 1_000);
  expect(affinity.size).toBe(1);
  affinity.bind(bound, request('d', true), 1_001);
  expect(affinity.size).toBe(0);
});

test('phases of a disaggregated request have workers of their own', () => {
  const affinity = new SessionAffinity(1_000);
  const bound = rank();
  affinity.bind(bound, { ...request('s'), role: 'prefill' }, 0);
  expect(affinity.find([bound], { ...request('s'), role: 'decode' }, 0)).toBeUndefined();
});
