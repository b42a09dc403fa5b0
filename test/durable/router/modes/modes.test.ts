/** Does every mode choose one of the candidates, repeatably, changing nothing but its own turn, and each in its own way? */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MODES } from '../../../../durable/router/modes/registry.ts';
import { parseRegistration } from '../../../../durable/router/registration.ts';
import { ROUTER_MODES, type RouteRequest } from '../../../../durable/router/rpc.ts';
import { type Rank, Workers } from '../../../../durable/router/workers.ts';
import { BLOCK, testPolicy } from '../core-harness.ts';
import { registerMessage } from '../fleet-worker.ts';
import { hashes, naiveIndexes } from '../naive-indexes.ts';

function fleet(requests: number[]): readonly Rank[] {
  const workers = new Workers(naiveIndexes, testPolicy());
  return requests.map((activeRequests, i) => {
    const registration = parseRegistration(registerMessage({ instanceId: `a${i}` }));
    const rank = workers.add(registration, 0).ranks[0]!;
    rank.activeRequests = activeRequests;
    return rank;
  });
}

const request = (blocks: number[] = [1, 2]): RouteRequest => ({
  requestId: 'req_1',
  model: 'tiny',
  blockHashes: hashes(...blocks),
  promptTokens: blocks.length * BLOCK,
});

/** mulberry32 */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b_79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

function choices(name: keyof typeof MODES, ranks: readonly Rank[], count: number, seed = 1): number[] {
  const policy = testPolicy({ mode: name, random: seeded(seed) });
  const { model } = ranks[0]!.worker;
  model.turn = 0;
  return Array.from({ length: count }, () =>
    ranks.indexOf(MODES[name].choose(ranks, model, request(), policy, 0).rank),
  );
}

describe.each(ROUTER_MODES)('mode %s', (name) => {
  test('is known by its own name', () => {
    expect(MODES[name].name).toBe(name);
  });

  test('chooses one of the candidates, the same with the same chance, and changes no load', () => {
    const loads = fc.array(fc.nat(5), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(loads, fc.integer(), (requests, seed) => {
        const ranks = fleet(requests);
        const chosen = choices(name, ranks, 5, seed);
        for (const at of chosen) expect(ranks[at]).toBeDefined();
        expect(choices(name, ranks, 5, seed)).toEqual(chosen);
        expect(ranks.map((rank) => rank.activeRequests)).toEqual(requests);
      }),
      { numRuns: 40 },
    );
  });

  test('has no choice among one', () => {
    expect(choices(name, fleet([9]), 3)).toEqual([0, 0, 0]);
  });

  test('estimates no cached tokens where nothing is cached', () => {
    const ranks = fleet([0, 0]);
    const choice = MODES[name].choose(ranks, ranks[0]!.worker.model, request(), testPolicy(), 0);
    expect(choice).toMatchObject({ overlapBlocks: 0, cachedTokens: 0 });
  });
});

test('round-robin takes turns', () => {
  expect(choices('round-robin', fleet([9, 0, 0]), 5)).toEqual([0, 1, 2, 0, 1]);
});

test('random and the ties of least-loaded are spread evenly', () => {
  for (const [name, loads] of [
    ['random', [0, 5, 9]],
    ['least-loaded', [2, 2, 2]],
  ] as const) {
    const counts = [0, 0, 0];
    for (const at of choices(name, fleet([...loads]), 3_000)) counts[at]!++;
    for (const count of counts) expect(count).toBeGreaterThan(850);
  }
});

test('least-loaded and direct take the one with the fewest requests', () => {
  expect(choices('least-loaded', fleet([3, 1, 2]), 3)).toEqual([1, 1, 1]);
  expect(choices('direct', fleet([3, 1, 2]), 3)).toEqual([1, 1, 1]);
});

test('power-of-two never takes the fullest of three, and takes the emptiest in two of three cases', () => {
  const counts = [0, 0, 0];
  for (const at of choices('power-of-two', fleet([9, 1, 5]), 3_000)) counts[at]!++;
  expect(counts[0]).toBe(0);
  expect(counts[1]).toBeGreaterThan(1_900);
  expect(counts[2]).toBeGreaterThan(900);
});

test('kv says what it judged by, for the decision just made', () => {
  const ranks = fleet([0, 4]);
  const { model } = ranks[0]!.worker;
  model.index.store(ranks[1]!.slot, 0, new Uint8Array(0), hashes(1, 2), hashes(1, 2));
  const asked = { ...request([1, 2, 3]), preferredTaints: { 'zone=a': 1 } };
  const choice = MODES.kv.choose(ranks, model, asked, testPolicy(), 0);
  expect(choice).toEqual({ rank: ranks[1], overlapBlocks: 2, cachedTokens: 2 * BLOCK });
  expect(MODES.kv.table?.()).toEqual([
    expect.objectContaining({ worker: 'a0', deviceBlocks: 0, activeRequests: 0, cost: 6, preference: 1 }),
    expect.objectContaining({ worker: 'a1', deviceBlocks: 2, activeRequests: 4, cost: 4, decodeBlocks: 3 }),
  ]);
});
