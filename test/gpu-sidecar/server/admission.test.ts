/** Are exactly the open responses counted, bounded and cut? */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Admission, type OpenResponse } from '../../../gpu-sidecar/server/admission.ts';

const response = (): OpenResponse & { cuts: number } => ({
  place: -1,
  cuts: 0,
  cut() {
    this.cuts++;
  },
});

test('however responses come and go, exactly those that are in are counted and cut', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(5), { maxLength: 60 }), (moves) => {
      const admission = new Admission(4);
      const all = Array.from({ length: 6 }, response);
      const inside = new Set<OpenResponse>();
      for (const move of moves) {
        const one = all[move]!;
        if (inside.has(one)) {
          admission.leave(one);
          admission.leave(one);
          inside.delete(one);
        } else if (admission.enter(one)) inside.add(one);
        else expect(inside.size).toBe(4);
        expect(admission.open).toBe(inside.size);
      }
      admission.cutAll();
      expect(all.map(({ cuts }) => cuts)).toEqual(all.map((one) => (inside.has(one) ? 1 : 0)));
    }),
  );
});

test('idle is when the last one has left', async () => {
  const admission = new Admission(2);
  await admission.idle();
  const one = response();
  admission.enter(one);
  let idle = false;
  const waiting = admission.idle().then(() => {
    idle = true;
  });
  await Promise.resolve();
  expect(idle).toBe(false);
  admission.leave(one);
  await waiting;
});
