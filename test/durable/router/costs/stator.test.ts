/** Does the rule choose as its sentences say: what would be waited for, what is worth keeping, who else is delayed? */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CostInputs } from '../../../../durable/router/costs/cost-rule.ts';
import { stator } from '../../../../durable/router/costs/stator.ts';
import { EngineTiming } from '../../../../durable/router/engine-timing.ts';
import { policyOf } from '../../../../durable/router/policy.ts';
import type { Rank } from '../../../../durable/router/workers.ts';
import { resolveSettings } from '../../../../durable/runtime/config.ts';
import { taughtTiming } from '../taught-timing.ts';

const WEIGHTS = policyOf(resolveSettings([]), () => 0);
const BLOCK = 16;

interface Row {
  device?: number;
  host?: number;
  prefillTokens?: number;
  prefillSinceMs?: number;
  activeRequests?: number;
  decodeBlocks?: number;
  ownBlocks?: number;
  preference?: number;
  totalKvBlocks?: number;
  timing?: EngineTiming;
}

/** A candidate as the rule reads it. */
const rankOf = (row: Row) =>
  ({
    prefillTokens: row.prefillTokens ?? 0,
    prefillSinceMs: row.prefillSinceMs ?? 0,
    activeRequests: row.activeRequests ?? 0,
    timing: row.timing ?? new EngineTiming(),
    worker: { registration: { maxNumBatchedTokens: 8_192, totalKvBlocks: row.totalKvBlocks ?? 1_000 } },
  }) as Rank;

function prices(rows: Row[], request: Partial<CostInputs> = {}): number[] {
  const column = (name: 'device' | 'host' | 'decodeBlocks' | 'ownBlocks' | 'preference', fallback = 0) =>
    Float64Array.from(rows, (row) => row[name] ?? fallback);
  const none = new Float64Array(rows.length);
  const costs = new Float64Array(rows.length);
  const inputs: CostInputs = {
    count: rows.length,
    ranks: rows.map(rankOf),
    nowMs: 0,
    promptTokens: 1_600,
    outputTokens: 200,
    blockSizeTokens: BLOCK,
    role: undefined,
    tracksPrefill: true,
    isNeutral: rows.every(({ host, preference }) => host === undefined && preference === undefined),
    device: column('device'),
    host: column('host'),
    disk: none,
    sharedBeyond: none,
    prefillTokens: Float64Array.from(rows, ({ prefillTokens }) => prefillTokens ?? 0),
    decodeBlocks: column('decodeBlocks'),
    ownBlocks: column('ownBlocks'),
    activeRequests: Float64Array.from(rows, ({ activeRequests }) => activeRequests ?? 0),
    preference: column('preference', 1),
    ...request,
  };
  stator.price(inputs, WEIGHTS, costs);
  return [...costs];
}

/** Which of the rows is cheapest. */
function chosen(rows: Row[], request: Partial<CostInputs> = {}): number {
  const costs = prices(rows, request);
  return costs.indexOf(Math.min(...costs));
}

describe('a request goes', () => {
  test('anywhere among equals: they cost the same', () => {
    const [a, b] = prices([
      { prefillTokens: 500, decodeBlocks: 40 },
      { prefillTokens: 500, decodeBlocks: 40 },
    ]);
    expect(a).toBe(b);
  });

  test('to the idle worker and not to a busy one that has as much of it cached', () => {
    expect(chosen([{ device: 50, prefillTokens: 900, activeRequests: 1 }, { device: 50 }])).toBe(1);
  });

  test('to its cached prefix, while the wait there is shorter than computing it', () => {
    expect(chosen([{ device: 90, prefillTokens: 500, activeRequests: 1 }, {}])).toBe(0);
    expect(chosen([{ device: 90, prefillTokens: 9_000, activeRequests: 1 }, {}])).toBe(1);
  });

  test('to the worker whose engine is faster', () => {
    const slow = taughtTiming({ passMs: 33, tokenMs: 0.04 });
    const fast = taughtTiming({ passMs: 8, tokenMs: 0.01 });
    expect(chosen([{ timing: slow }, { timing: fast }])).toBe(1);
  });

  test('where it delays fewer others that decode', () => {
    expect(
      chosen([
        { activeRequests: 9, decodeBlocks: 90 },
        { activeRequests: 2, decodeBlocks: 90 },
      ]),
    ).toBe(1);
  });

  test('where the steps are shorter, because fewer blocks are in use', () => {
    const rows = [
      { activeRequests: 4, decodeBlocks: 800 },
      { activeRequests: 4, decodeBlocks: 100 },
    ];
    expect(chosen(rows)).toBe(1);
  });

  test('to a worker that it prefers, by the factor of its taints', () => {
    const [plain, preferred] = prices([{ preference: 1 }, { preference: 0.5 }]);
    expect(preferred).toBeCloseTo(plain! / 2, 9);
  });
});

test('a cached prefix is worth its computing, and one and a half times that for what it would push out', () => {
  const timing = taughtTiming({ passMs: 16, tokenMs: 0.02 });
  const [nothing, prefix] = prices([{ timing }, { device: 50, timing }]);
  expect(nothing! - prefix!).toBeCloseTo(2.5 * 50 * BLOCK * timing.tokenMs, 6);
});

test('blocks in host memory count by their weight', () => {
  const [host, device] = prices([{ host: 40 }, { device: 40 * WEIGHTS.hostCacheHitWeight, host: 0 }]);
  expect(host).toBeCloseTo(device!, 9);
});

test('a prompt that is wholly cached still costs a pass', () => {
  const [cost] = prices([{ device: 100 }]);
  expect(cost).toBeGreaterThan(new EngineTiming().prefillMs(1, 8_192));
});

describe('decode workers', () => {
  const decode = { role: 'decode' as const, tracksPrefill: false };

  test('are judged by how long their steps are, not by what they have cached', () => {
    expect(chosen([{ device: 100, decodeBlocks: 500 }, { decodeBlocks: 100 }], decode)).toBe(1);
  });

  test('with equal blocks, by how many requests the new one slows down', () => {
    const blocks = { decodeBlocks: 300, ownBlocks: 100 };
    const rows = [
      { ...blocks, activeRequests: 8 },
      { ...blocks, activeRequests: 2 },
    ];
    expect(chosen(rows, decode)).toBe(1);
  });
});

/** A single server for each worker, first come first served; how many requests each got. */
function served(timings: readonly EngineTiming[], everyMs: number, requests: number): number[] {
  const counts = timings.map(() => 0);
  const ranks = timings.map((timing) => ({
    timing,
    queue: [] as { tokens: number; endMs: number }[],
    since: 0,
  }));
  for (let at = 0; at < requests; at++) {
    const nowMs = at * everyMs;
    const rows = ranks.map(({ timing, queue }, i): Row => {
      while (queue.length > 0 && queue[0]!.endMs <= nowMs) ranks[i]!.since = queue.shift()!.endMs;
      const prefillTokens = queue.reduce((sum, { tokens }) => sum + tokens, 0);
      return { timing, prefillTokens, activeRequests: queue.length, prefillSinceMs: ranks[i]!.since };
    });
    const winner = chosen(rows, { nowMs });
    const { queue, timing } = ranks[winner]!;
    const beginMs = Math.max(queue.at(-1)?.endMs ?? nowMs, nowMs);
    if (queue.length === 0) ranks[winner]!.since = nowMs;
    queue.push({ tokens: 1_600, endMs: beginMs + timing.prefillMs(1_600, 8_192) });
    counts[winner]!++;
  }
  return counts;
}

test('of two workers that are both full, the one that is twice as slow gets half as much', () => {
  const fast = taughtTiming({ passMs: 10, tokenMs: 0.05 });
  const slow = taughtTiming({ passMs: 20, tokenMs: 0.1 });
  const [much, little] = served([fast, slow], 62, 600);
  expect(much! / little!).toBeGreaterThan(1.7);
  expect(much! / little!).toBeLessThan(2.4);
});

describe('whatever comes in', () => {
  const row: fc.Arbitrary<Row> = fc.record({
    device: fc.nat(100),
    prefillTokens: fc.nat(100_000),
    prefillSinceMs: fc.integer({ min: -10_000, max: 10 }),
    activeRequests: fc.nat(300),
    decodeBlocks: fc.nat(2_000),
    totalKvBlocks: fc.constantFrom(0, 1, 1_000),
  });

  test('prices are finite and above 0, also where a worker never said how many blocks it has', () => {
    fc.assert(
      fc.property(
        fc.array(row, { minLength: 1, maxLength: 6 }),
        fc.nat(9_999),
        fc.boolean(),
        (rows, n, p) => {
          for (const cost of prices(rows, { promptTokens: n, tracksPrefill: p })) {
            expect(Number.isFinite(cost) && cost > 0).toBe(true);
          }
        },
      ),
    );
  });

  test('more cached never costs more; more load never less', () => {
    fc.assert(
      fc.property(row, (base) => {
        const cost = (changed: Row) => prices([{ ...base, ...changed }])[0]!;
        const plain = cost({});
        expect(cost({ device: base.device! + 1 })).toBeLessThanOrEqual(plain);
        expect(cost({ activeRequests: base.activeRequests! + 1 })).toBeGreaterThanOrEqual(plain);
        expect(cost({ decodeBlocks: base.decodeBlocks! + 1 })).toBeGreaterThanOrEqual(plain);
      }),
    );
  });

  test('times that are wrong by one factor everywhere choose the same worker', () => {
    const plain = taughtTiming({ passMs: 16, tokenMs: 0.02, stepMs: 10 });
    const factor = fc.constantFrom(0.5, 2, 8);
    fc.assert(
      fc.property(fc.array(row, { minLength: 2, maxLength: 6 }), factor, (rows, by) => {
        const scaled = taughtTiming({ passMs: 16 * by, tokenMs: 0.02 * by, stepMs: 10 * by });
        const with_ = (timing: EngineTiming, times: number) =>
          prices(
            rows.map((one) => ({ ...one, timing, prefillSinceMs: one.prefillSinceMs! * times })),
            { nowMs: 10 * times },
          );
        const right = with_(plain, 1);
        const wrong = with_(scaled, by);
        wrong.forEach((cost, i) => {
          expect(cost / by / right[i]!).toBeCloseTo(1, 4);
        });
      }),
    );
  });
});
