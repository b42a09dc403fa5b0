/** The heap of waiting requests against a sorted list. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isBefore, type QueueEntry } from '../../../../durable/router/queue/entry.ts';
import { EntryHeap } from '../../../../durable/router/queue/entry-heap.ts';

const entry = (score: number, sequence: number) =>
  ({ score, sequence, strictPriority: 0, at: 0 }) as unknown as QueueEntry;

test('whatever came and went, the rest is in order, from the first on', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ score: fc.integer({ min: 0, max: 5 }), stays: fc.boolean() })),
      fc.nat(20),
      (all, count) => {
        const heap = new EntryHeap();
        const entries = all.map(({ score }, i) => entry(score, i));
        for (const one of entries) heap.add(one);
        for (const [i, { stays }] of all.entries()) if (!stays) heap.remove(entries[i]!);
        const sorted = entries.filter((_, i) => all[i]!.stays).sort((a, b) => (isBefore(a, b) ? -1 : 1));
        expect(heap.first).toBe(sorted[0]);
        expect([...heap.inOrder()].slice(0, count)).toEqual(sorted.slice(0, count));
      },
    ),
  );
});
