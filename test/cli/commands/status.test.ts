/** What `stator status` says of the prefill queue. */

import { expect, test } from 'vitest';
import { describe } from '../../../cli/commands/status.ts';

const status = {
  routerBoot: 1,
  mode: 'kv',
  inFlight: 0,
  indexBlocks: 0,
  indexBytes: 0,
  queue: [],
  sleeping: [],
  held: 0,
  workers: [],
} as const;
const url = 'http://127.0.0.1:8000';
const textOf = (prefillQueue: Parameters<typeof describe>[0]['prefillQueue']) =>
  describe({ url, status: { ...status, queue: [], sleeping: [], workers: [] }, prefillQueue });

test('nothing, while there is nothing in it', () => {
  expect(textOf({ models: [], bytes: 0, redelivered: 0, deadLetters: [] })).not.toContain('prefill queue');
});

test('how much waits, since when, how much workers have, and what was given up', () => {
  const letter = {
    id: 'r1@d1',
    requestId: 'r1',
    producer: 'd1',
    model: 'tiny',
    reason: 'layout',
    deliveries: 3,
    bytes: 10,
    deadSinceMs: 0,
  };
  const text = textOf({
    models: [{ model: 'tiny', waiting: 3, leased: 2, oldestMs: 1_540 }],
    bytes: 100,
    redelivered: 4,
    deadLetters: [letter],
  });
  expect(text).toContain('prefill queue tiny: 3 waiting (the oldest 1.5 s), 2 leased\n');
  expect(text).toContain('prefill queue: 1 dead letters, 4 redelivered\n');
});
