/** Which pool a request belongs to and which come after it: Dynamo's arithmetic, and what holds for every grid. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { configuredPools } from '../../../durable/global-router/configured-pools.ts';
import type { PoolGroup } from '../../../durable/global-router/rpc.ts';
import { retryOrder, selectPool } from '../../../functions/global-router/select-pool.ts';
import { aggDocument, disaggDocument } from '../../durable/global-router/pool-documents.ts';

const NONE = { defaultTtftTargetMs: null, defaultItlTargetMs: null };
const wishes = (given: object = {}) => ({
  promptTokens: 100,
  ttftTargetMs: null,
  itlTargetMs: null,
  priority: null,
  ...given,
});

function groupsOf(document: unknown) {
  return configuredPools(document, { ttftMs: null, itlMs: null }).groups;
}

function aggGroup(strategy: object = {}, change: object = {}): PoolGroup {
  const groups = groupsOf(aggDocument(change, strategy));
  if (groups.mode !== 'agg') throw new Error('another mode');
  return groups.agg;
}

describe('the grid', () => {
  test('has cells of equal size; what lies outside counts to the last ones', () => {
    const pool = (itlTargetMs: number) => selectPool(aggGroup(), wishes({ itlTargetMs }), NONE);
    expect([0, 29.9, 30, 59.9, 60, 90, 1e9].map(pool)).toEqual([0, 0, 1, 1, 2, 2, 2]);
    const above = aggGroup({ itl_min_ms: 30, itl_max_ms: 120 });
    // Dynamo cuts off the fraction, so what is less than a cell below the axis is in the first cell, and all beyond too.
    expect([-1e9, 0, 15, 29].map((itlTargetMs) => selectPool(above, wishes({ itlTargetMs }), NONE))).toEqual([
      0, 0, 0, 0,
    ]);
  });

  test('without a target takes the default, and without that the middle; 0 is a target', () => {
    const group = aggGroup();
    expect(selectPool(group, wishes(), NONE)).toBe(1);
    expect(selectPool(group, wishes(), { ...NONE, defaultItlTargetMs: 80 })).toBe(2);
    expect(selectPool(group, wishes({ itlTargetMs: 0 }), { ...NONE, defaultItlTargetMs: 80 })).toBe(0);
  });

  test('gives way to the first override that matches; a request without priority has none', () => {
    const overrides = [
      { min_priority: 10, max_priority: 20, target_pool: 2 },
      { min_priority: 15, max_priority: 99, target_pool: 0 },
    ];
    const group = aggGroup({ priority_overrides: overrides });
    const pool = (priority: number | null) => selectPool(group, wishes({ priority }), NONE);
    expect([9, 10, 20, 21, 99, 100, null].map(pool)).toEqual([1, 2, 2, 0, 0, 1, 1]);
  });

  test('of prefill and decode pools measures prompt and TTFT, context and ITL', () => {
    const groups = groupsOf(disaggDocument());
    if (groups.mode !== 'disagg') throw new Error('another mode');
    const short = wishes({ promptTokens: 1_999, ttftTargetMs: 500, itlTargetMs: 49 });
    expect([selectPool(groups.prefill, short, NONE), selectPool(groups.decode, short, NONE)]).toEqual([1, 0]);
    const long = { ...short, promptTokens: 2_000 };
    expect([selectPool(groups.prefill, long, NONE), selectPool(groups.decode, long, NONE)]).toEqual([0, 1]);
  });

  test('finds the cell that a naive search finds, for any axis and value', () => {
    const axis = fc.record({
      min: fc.double({ min: -1e6, max: 1e6, noNaN: true }),
      size: fc.double({ min: 1e-3, max: 1e6, noNaN: true }),
      resolution: fc.integer({ min: 1, max: 50 }),
      value: fc.double({ min: -3e6, max: 3e6, noNaN: true }),
    });
    fc.assert(
      fc.property(axis, ({ min, size, resolution, value }) => {
        const max = min + size;
        const group: PoolGroup = {
          pools: Array.from({ length: resolution }, (_, at) => ({ name: `n${at}`, priority: at })),
          axes: [{ quantity: 'itl', min, max, resolution }],
          mapping: Array.from({ length: resolution }, (_, at) => at),
          overrides: [],
        };
        const found = selectPool(group, wishes({ itlTargetMs: value }), NONE);
        const step = (max - min) / resolution;
        let cell = 0;
        while (cell < resolution - 1 && (value - min) / step >= cell + 1) cell++;
        expect(found).toBe(cell);
      }),
    );
  });
});

describe('the order of retries', () => {
  test('is the selected pool, then those strictly faster from the slowest on; without retries nobody else', () => {
    const group = aggGroup({}, { agg_pool_priorities: [5, -1, 9] });
    expect(retryOrder(group, 2, true)).toEqual([2, 0, 1]);
    expect(retryOrder(group, 1, true)).toEqual([1]);
    expect(retryOrder(group, 2, false)).toEqual([2]);
  });

  test('names each pool once, gets faster all the way, and leaves out no faster one', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 1, maxLength: 12 }),
        fc.nat(),
        (all, at) => {
          const pools = all.map((priority, index) => ({ name: `n${index}`, priority }));
          const selected = at % pools.length;
          const order = retryOrder({ pools, axes: [], mapping: [], overrides: [] }, selected, true);
          expect(new Set(order).size).toBe(order.length);
          const [first, ...rest] = order.map((index) => all[index]!);
          for (let index = 0; index < rest.length; index++) {
            expect(rest[index]!).toBeLessThanOrEqual(index === 0 ? first! - 1 : rest[index - 1]!);
          }
          expect(rest.length).toBe(all.filter((priority) => priority < first!).length);
        },
      ),
    );
  });
});
