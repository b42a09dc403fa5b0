// Are the blocks in flight counted once per slot, and gone when the last request that has them ends?

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { ActiveSequences } from '../../wasm/load/node/radix.ts';
import { words } from './bytes.ts';
import { ModelSequences } from './model.ts';

const locals = fc.array(fc.nat({ max: 2 }), { maxLength: 6 });
const request = fc.nat({ max: 7 });
const slot = fc.constantFrom(0, 1, 70);
const step = fc.oneof(
  fc.record({ kind: fc.constant('add' as const), request, slot, locals, salt: fc.constantFrom(0, 0, 0, 9) }),
  fc.record({ kind: fc.constant('grow' as const), request, blocks: fc.nat({ max: 3 }) }),
  fc.record({ kind: fc.constant('end' as const), request }),
  fc.record({ kind: fc.constant('drop' as const), slot }),
);

describe('ActiveSequences', () => {
  test('agrees with a naive multiset after every step of any history', () => {
    const history = fc.array(fc.tuple(step, locals), { maxLength: 60 });
    fc.assert(
      fc.property(history, (steps) => {
        using active = new ActiveSequences();
        const model = new ModelSequences();
        for (const [action, query] of steps) {
          if (action.kind === 'add') {
            const { request, slot, locals, salt } = action;
            const added = active.add(request, slot, words(...locals), salt);
            expect(added).toBe(model.add(request, slot, locals, salt));
          } else if (action.kind === 'grow') {
            expect(active.grow(action.request, action.blocks)).toBe(
              model.grow(action.request, action.blocks),
            );
          } else if (action.kind === 'end') {
            expect(active.end(action.request)).toBe(model.flights.delete(action.request));
          } else {
            expect(active.dropSlot(action.slot)).toBe(model.dropSlot(action.slot));
          }
          const { count, pairs } = active.potential(words(...query));
          const depths = new Map(Array.from({ length: count }, (_, i) => [pairs[2 * i], pairs[2 * i + 1]]));
          expect(depths).toEqual(model.potential(query));
          for (const s of [0, 1, 70]) expect(active.activeBlocks(s)).toBe(model.activeBlocks(s));
          expect(active.requests).toBe(model.flights.size);
        }
      }),
      { numRuns: 300 },
    );
  });
});
