/** Are loads the sum of what is in flight, never negative, and 0 in the end, with naive and with wasm indexes? */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ActiveSequences } from '../../../durable/router/active-sequences.ts';
import type { Indexes } from '../../../durable/router/blocks.ts';
import { parseRegistration } from '../../../durable/router/registration.ts';
import { wasmIndexes } from '../../../durable/router/wasm-indexes.ts';
import { type Rank, Workers } from '../../../durable/router/workers.ts';
import { ManualClock } from '../../../durable/runtime/clock.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { testPolicy } from './core-harness.ts';
import { registerMessage } from './fleet-worker.ts';
import { hashes, naiveIndexes } from './naive-indexes.ts';

function ranks(indexes: Indexes, count = 2): Rank[] {
  const workers = new Workers(indexes, testPolicy());
  return Array.from({ length: count }, (_, i) => {
    const registration = parseRegistration(registerMessage({ instanceId: `a${i}` }));
    return workers.add(registration, 0).ranks[0]!;
  });
}

const sequences = (firstReservation = 0) =>
  new ActiveSequences({
    firstReservation,
    trackOutputBlocks: true,
    clock: new ManualClock(),
  });

const request = (...blocks: number[]) => ({
  blockHashes: hashes(...blocks),
  promptTokens: blocks.length * 4 + 2,
  cachedTokens: 0,
});

const activeBlocks = (rank: Rank) => rank.worker.model.inFlight.active(rank.slot);

describe.each([
  ['naive', naiveIndexes],
  ['wasm', wasmIndexes],
])('with %s indexes', (_name, indexes) => {
  type Step =
    | { do: 'reserve'; rank: number; blocks: number[]; overlap: number }
    | { do: 'accepted' | 'firstToken' | 'free'; pick: number }
    | { do: 'growth'; pick: number; tokens: number }
    | { do: 'sweep'; waitMs: number }
    | { do: 'freeWorker'; rank: number };
  const pick = fc.nat(20);
  const step: fc.Arbitrary<Step> = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant('reserve' as const),
        rank: fc.nat(1),
        blocks: fc.array(fc.nat(3), { maxLength: 5 }),
        overlap: fc.nat(5),
      }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('accepted', 'firstToken', 'free'), pick }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('growth'), pick, tokens: fc.nat(20) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('sweep'), waitMs: fc.nat(20_000) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('freeWorker'), rank: fc.nat(1) }) },
  ) as fc.Arbitrary<Step>;

  test('loads are the sums over what is in flight, never negative, and 0 in the end', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const all = ranks(indexes);
        const active = sequences();
        const numbers: number[] = [];
        let nowMs = 0;
        for (const current of steps) {
          if (current.do === 'reserve') {
            const cachedTokens = 4 * Math.min(current.overlap, current.blocks.length);
            const asked = { ...request(...current.blocks), cachedTokens };
            numbers.push(active.reserve(all[current.rank]!, asked, nowMs));
          } else if (current.do === 'freeWorker') active.freeWorker(all[current.rank]!.worker);
          else if (current.do === 'sweep') {
            nowMs += current.waitMs;
            active.sweep(nowMs);
          } else {
            const number = numbers[current.pick % Math.max(1, numbers.length)] ?? 0;
            const entry = active.get(number);
            if (current.do === 'free') expect(active.free(number)).toBe(entry !== undefined);
            else if (entry && current.do === 'accepted') active.accepted(entry, nowMs);
            else if (entry && current.do === 'firstToken') active.firstToken(entry, nowMs);
            else if (entry && current.do === 'growth') active.growth(entry, current.tokens, nowMs);
          }
          const alive = numbers.map((number) => active.get(number)).filter((entry) => entry !== undefined);
          expect(active.size).toBe(alive.length);
          for (const rank of all) {
            const mine = alive.filter((entry) => entry.rank === rank);
            expect(rank.activeRequests).toBe(mine.length);
            expect(rank.prefillTokens).toBe(mine.reduce((sum, entry) => sum + entry.prefillTokens, 0));
            expect(activeBlocks(rank)).toBeGreaterThanOrEqual(0);
          }
        }
        for (const number of numbers) active.free(number);
        for (const rank of all) {
          expect([rank.activeRequests, rank.prefillTokens, activeBlocks(rank)]).toEqual([0, 0, 0]);
        }
        all[0]!.worker.model.inFlight.free();
        all[0]!.worker.model.index.free();
      }),
      { numRuns: 100 },
    );
  });

  test('a shared prefix is counted once', () => {
    const [rank] = ranks(indexes);
    const active = sequences();
    const first = active.reserve(rank!, request(1, 2, 3), 0);
    active.reserve(rank!, request(1, 2, 4), 0);
    expect(activeBlocks(rank!)).toBe(4);
    active.free(first);
    expect(activeBlocks(rank!)).toBe(3);
  });
});

test('what is cached on the chosen rank is not prefill', () => {
  const [rank] = ranks(naiveIndexes);
  const active = sequences();
  active.reserve(rank!, { ...request(1, 2, 3), cachedTokens: 8 }, 0);
  expect(rank!.prefillTokens).toBe(6);
});

test('numbers are u32, never 0, and skip those in flight when they wrap', () => {
  const [rank] = ranks(naiveIndexes);
  const active = sequences(0xffff_fffd);
  expect([1, 2, 3].map(() => active.reserve(rank!, request(), 0))).toEqual([0xffff_fffe, 0xffff_ffff, 1]);
  const crowded = sequences(0xffff_fffe);
  expect([1, 2].map(() => crowded.reserve(rank!, request(), 0))).toEqual([0xffff_ffff, 1]);
});

test('a reservation runs out, an accepted request does not until it is stale', () => {
  const [rank] = ranks(naiveIndexes);
  const active = sequences();
  const accepted = active.reserve(rank!, request(1), 0);
  active.accepted(active.get(accepted)!, 0);
  active.reserve(rank!, request(2), 0);
  expect(active.sweep(LIMITS.reservationMs - 1)).toEqual({ expired: 0, stale: 0 });
  expect(active.sweep(LIMITS.reservationMs)).toEqual({ expired: 1, stale: 0 });
  active.growth(active.get(accepted)!, 4, 100_000);
  expect(active.sweep(LIMITS.staleRequestMs)).toEqual({ expired: 0, stale: 0 });
  const staleMs = LIMITS.staleRequestMs + 100_000;
  expect(active.sweep(staleMs)).toEqual({ expired: 0, stale: 0 });
  expect(active.sweep(staleMs + LIMITS.staleSweepMs)).toEqual({ expired: 0, stale: 1 });
  expect(active.size).toBe(0);
});

test('an answer that is told by its end alone teaches how fast its engine computes prompts', () => {
  const active = sequences();
  const rank = ranks(naiveIndexes, 1)[0]!;
  const before = rank.timing.prefillMs(1_000, 8_192);
  for (let nowMs = 0; nowMs < 2_000; nowMs += 10) {
    const long = { blockHashes: hashes(), promptTokens: 1_000, cachedTokens: 0 };
    const reservation = active.reserve(rank, long, nowMs);
    active.ended(active.get(reservation)!, { outputTokens: 1, ttftMs: 2 }, nowMs + 5);
  }
  expect(before).toBeGreaterThan(30);
  expect(rank.timing.prefillMs(1_000, 8_192)).toBeLessThan(4);
  expect(active.size).toBe(0);
});
