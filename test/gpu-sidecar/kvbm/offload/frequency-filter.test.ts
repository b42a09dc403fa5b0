/** What is worth a write to disk. */

import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../../../durable/runtime/clock.ts';
import { LIMITS } from '../../../../durable/runtime/limits.ts';
import { FrequencyFilter } from '../../../../gpu-sidecar/kvbm/offload/frequency-filter.ts';

describe('the disk filter', () => {
  it('lets a block pass when it is seen a second time', () => {
    const filter = new FrequencyFilter({ clock: new ManualClock(), least: 2 });
    expect([filter.passes(1n), filter.passes(2n), filter.passes(1n), filter.passes(1n)]).toEqual([
      false,
      false,
      true,
      true,
    ]);
  });

  it('forgets slowly: one count a step, and counts double', () => {
    const clock = new ManualClock();
    const filter = new FrequencyFilter({ clock, least: 4 });
    filter.passes(1n);
    filter.passes(2n);
    filter.passes(2n);
    clock.advance(LIMITS.kvbmFilterMs);
    // 1 went from 1 to nothing, 2 from 2 to 1.
    expect([filter.passes(1n), filter.passes(1n), filter.passes(1n)]).toEqual([false, false, true]);
    expect([filter.passes(2n), filter.passes(2n)]).toEqual([false, true]);
  });

  it('lets everything pass when once is enough', () => {
    expect(new FrequencyFilter({ clock: new ManualClock(), least: 1 }).passes(1n)).toBe(true);
  });

  it('forgets early when it is full', () => {
    const filter = new FrequencyFilter({ clock: new ManualClock(), least: 2, capacity: 8 });
    for (let hash = 0n; hash < 9n; hash++) filter.passes(hash);
    // The tenth sight makes it forget all that were seen once.
    expect([filter.passes(0n), filter.passes(1n)]).toEqual([false, false]);
    expect([filter.passes(0n), filter.passes(1n)]).toEqual([true, true]);
  });
});
