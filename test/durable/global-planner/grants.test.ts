/**
 * One budget, many planners: what is granted never exceeds it, whatever they want, whenever they ask, vanish or come back.
 */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { allocate, gpusOf } from '../../../durable/global-planner/allocate.ts';
import { Grants } from '../../../durable/global-planner/grants.ts';
import type { Claim, ClaimedRole } from '../../../durable/global-planner/rpc.ts';

const INTERVAL_MS = 60_000;
const LEASE_MS = 180_000;

const rules = (budgetGpus: number | null, given: { priority?: object; weight?: object } = {}) => ({
  budgetGpus,
  priorityOf: (namespace: string) => (given.priority as Record<string, number>)?.[namespace] ?? 0,
  weightOf: (namespace: string) => (given.weight as Record<string, number>)?.[namespace] ?? 1,
});

const worker = (wanted: number, min = 0, gpusPerWorker = 1): ClaimedRole => ({
  role: 'worker',
  min,
  wanted,
  gpusPerWorker,
});

const claim = (namespace: string, role: ClaimedRole, running = 0): Claim => ({
  namespace,
  roles: [role],
  running: { worker: running },
  leaseMs: LEASE_MS,
  intervalMs: INTERVAL_MS,
});

describe('the division', () => {
  const divide = (shares: Record<string, [wanted: number, min: number]>, budget: number, given = {}) => {
    const { priorityOf, weightOf } = rules(budget, given);
    const all = Object.entries(shares).map(([namespace, [wanted, min]]) => ({
      namespace,
      roles: [worker(wanted, min)],
      priority: priorityOf(namespace),
      weight: weightOf(namespace),
      held: {},
    }));
    const counts = allocate(all, budget);
    return Object.keys(shares).map((namespace) => counts.get(namespace)!.worker);
  };

  test('is by weight where all want more, and nobody gets more than it wants', () => {
    expect(divide({ a: [99, 0], b: [99, 0] }, 10)).toEqual([5, 5]);
    expect(divide({ a: [99, 0], b: [99, 0] }, 12, { weight: { a: 2 } })).toEqual([8, 4]);
    expect(divide({ a: [2, 0], b: [99, 0], c: [99, 0] }, 12)).toEqual([2, 5, 5]);
    expect(divide({ a: [1, 0], b: [1, 0] }, 10)).toEqual([1, 1]);
  });

  test('gives least fleets first, then the lower priority numbers all that they want', () => {
    const priority = { a: 1, b: 0 };
    expect(divide({ a: [9, 2], b: [9, 0] }, 8, { priority })).toEqual([2, 6]);
    expect(divide({ a: [9, 2], b: [3, 1] }, 8, { priority })).toEqual([5, 3]);
  });

  test('lets prefill and decode workers grow together, by the GPUs of each', () => {
    const roles: ClaimedRole[] = [
      { role: 'prefill', min: 1, wanted: 4, gpusPerWorker: 2 },
      { role: 'decode', min: 1, wanted: 8, gpusPerWorker: 1 },
    ];
    const counts = allocate([{ namespace: 'a', roles, priority: 0, weight: 1, held: {} }], 8);
    expect(counts.get('a')).toEqual({ prefill: 2, decode: 4 });
  });
});

describe('a grant', () => {
  test('grows only into what others do not run any more', () => {
    const grants = new Grants(rules(8));
    expect(grants.ask(claim('a', worker(8), 0), 0).counts).toEqual({ worker: 8 });
    // Half of it is for b, but a runs it.
    const first = grants.ask(claim('b', worker(8), 0), 1_000);
    expect([first.counts, first.why]).toEqual([{ worker: 0 }, '8 GPUs are all there are for 2 namespaces']);
    expect(grants.ask(claim('a', worker(8), 8), INTERVAL_MS).counts).toEqual({ worker: 4 });
    expect(grants.ask(claim('b', worker(8), 0), INTERVAL_MS).counts).toEqual({ worker: 0 });
    grants.ask(claim('a', worker(8), 4), INTERVAL_MS + 1);
    expect(grants.ask(claim('b', worker(8), 0), INTERVAL_MS + 2).counts).toEqual({ worker: 4 });
  });

  test('comes back when its planner was silent for longer than its lease, and not before', () => {
    const grants = new Grants(rules(8));
    grants.ask(claim('a', worker(6), 0), 0);
    expect(grants.ask(claim('b', worker(6), 0), LEASE_MS).counts).toEqual({ worker: 2 });
    expect(grants.ask(claim('b', worker(6), 2), LEASE_MS + 1).counts).toEqual({ worker: 6 });
    // A clock that jumps back does not keep one for longer than it asked for.
    const back = new Grants(rules(8));
    back.ask(claim('a', worker(6), 0), 1e9);
    back.ask(claim('b', worker(6), 0), 0);
    expect(back.ask(claim('b', worker(6), 2), LEASE_MS + 1).counts).toEqual({ worker: 6 });
  });

  test('of a least fleet stays when others come whose least fleets have no room, whatever their priority', () => {
    const grants = new Grants(rules(4, { priority: { b: -5 } }));
    grants.ask(claim('a', worker(4, 3), 0), 0);
    expect(grants.ask(claim('b', worker(4, 3), 0), INTERVAL_MS).counts).toEqual({ worker: 0 });
    expect(grants.ask(claim('a', worker(4, 3), 4), INTERVAL_MS).counts).toEqual({ worker: 3 });
    expect(grants.ask(claim('b', worker(4, 3), 0), 2 * INTERVAL_MS).counts).toEqual({ worker: 0 });
  });

  test('without a budget is what was wanted', () => {
    expect(new Grants(rules(null)).ask(claim('a', worker(1_000)), 0)).toEqual({
      counts: { worker: 1_000 },
      why: '',
    });
  });
});

interface Step {
  namespace: string;
  wanted: number;
  min: number;
  gpusPerWorker: number;
  elapsedMs: number;
  /** It runs something else than it was granted last. */
  lies: number | null;
}

const step: fc.Arbitrary<Step> = fc.record({
  namespace: fc.constantFrom('a', 'b', 'c', 'd'),
  wanted: fc.nat(20),
  min: fc.nat(3),
  gpusPerWorker: fc.integer({ min: 1, max: 4 }),
  elapsedMs: fc.integer({ min: -200_000, max: 200_000 }),
  lies: fc.option(fc.nat(30), { freq: 5 }),
});

test('in 1,000 streams of asks: never above the budget, seated fleets kept, at most one turn an interval, the same for the same asks', () => {
  fc.assert(
    fc.property(fc.nat(40), fc.array(step, { maxLength: 60 }), (budget, steps) => {
      const runs = [new Grants(rules(budget)), new Grants(rules(budget))];
      const turns = new Map<string, { direction: number; atMs: number }>();
      let nowMs = 1_000_000;
      for (const { namespace, wanted, min, gpusPerWorker, elapsedMs, lies } of steps) {
        nowMs += elapsedMs;
        const role = worker(Math.max(wanted, min), min, gpusPerWorker);
        // As the core is about to see it: without those whose lease has ended, or whose workers have another size now.
        runs[0]!.expire(nowMs);
        const held = runs[0]!.holdings.find(({ claim }) => claim.namespace === namespace);
        const seated = held?.claim.roles[0]?.gpusPerWorker === gpusPerWorker;
        const before = seated ? (held?.granted.worker ?? 0) : 0;
        if (!seated) turns.delete(namespace);
        const asked = claim(namespace, role, lies ?? before);
        const [grant, same] = runs.map((grants) => grants.ask(structuredClone(asked), nowMs));
        expect(grant).toEqual(same);
        const sum = runs[0]!.holdings.reduce(
          (total, { claim, granted }) => total + gpusOf(claim.roles, granted),
          0,
        );
        expect(sum).toBeLessThanOrEqual(budget);
        const now = grant!.counts.worker ?? 0;
        expect(now).toBeLessThanOrEqual(Math.max(before, role.wanted));
        expect(now).toBeGreaterThanOrEqual(Math.min(min, before));
        const direction = Math.sign(now - before);
        const last = turns.get(namespace);
        if (direction === 0 || last?.direction === direction) continue;
        if (last !== undefined) expect(Math.abs(nowMs - last.atMs)).toBeGreaterThanOrEqual(INTERVAL_MS);
        turns.set(namespace, { direction, atMs: nowMs });
      }
    }),
    { numRuns: 1_000 },
  );
});

test('honest planners end with all of the budget in use, as long as anybody wants it', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 30 }),
      fc.array(fc.nat(15), { minLength: 1, maxLength: 5 }),
      (budget, wants) => {
        const grants = new Grants(rules(budget));
        const running = wants.map(() => 0);
        for (let round = 0; round < 4; round++) {
          for (const [at, wanted] of wants.entries()) {
            const asked = claim(`n${at}`, worker(wanted), running[at]!);
            running[at] = grants.ask(asked, round * INTERVAL_MS).counts.worker!;
          }
        }
        const total = running.reduce((sum, count) => sum + count, 0);
        expect(total).toBe(
          Math.min(
            budget,
            wants.reduce((sum, wanted) => sum + wanted, 0),
          ),
        );
        // Nobody has two more than another who wants more.
        for (const [at, count] of running.entries()) {
          if (count < wants[at]!) expect(Math.max(...running)).toBeLessThanOrEqual(count + 1);
        }
      },
    ),
  );
});
