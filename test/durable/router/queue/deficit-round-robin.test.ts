/** Deficit round robin: classes share the service by their quanta, whatever their requests cost. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DeficitRoundRobin, type RingClass } from '../../../../durable/router/queue/deficit-round-robin.ts';

/** A class of costs, first come first served; `blocked` while its head may not go. */
class Costs implements RingClass<number> {
  readonly quantum: number;
  readonly waiting: number[] = [];
  deficit = 0;
  blocked = false;

  constructor(quantum: number, waiting: readonly number[] = []) {
    this.quantum = quantum;
    this.waiting.push(...waiting);
  }

  get isEmpty(): boolean {
    return this.waiting.length === 0;
  }

  head(): number | null {
    return this.blocked ? null : (this.waiting[0] ?? null);
  }

  cost(cost: number): number {
    return cost;
  }

  take(): void {
    this.waiting.shift();
  }
}

/** A pick while the fleet is busy: it must not change whose turn it is. */
function nobodyFree(classes: readonly Costs[], ring: DeficitRoundRobin<number>): void {
  const blocked = classes.map((of) => of.blocked);
  for (const of of classes) of.blocked = true;
  expect(ring.next()).toBeNull();
  classes.forEach((of, index) => {
    of.blocked = blocked[index]!;
  });
}

/** Serves `count` picks; what each class got. */
function serve(classes: readonly Costs[], ring: DeficitRoundRobin<number>, count: number): number[] {
  const served = classes.map(() => 0);
  for (let pick = 0; pick < count; pick++) {
    nobodyFree(classes, ring);
    const before = classes.map(({ waiting }) => waiting.length);
    const cost = ring.next();
    if (cost === null) break;
    const from = classes.findIndex(({ waiting }, index) => waiting.length < before[index]!);
    served[from]! += cost;
  }
  return served;
}

test('quanta 4:1 with costs of many sizes are served 4:1, though a busy fleet is asked in between', () => {
  const costs = (count: number) => Array.from({ length: count }, (_, index) => 100 + ((index * 37) % 400));
  const classes = [new Costs(400, costs(100)), new Costs(100, costs(100))];
  const [gold, bronze] = serve(classes, new DeficitRoundRobin(classes), 90) as [number, number];
  expect(gold / bronze).toBeCloseTo(4, 0);
});

const times = (count: number, cost: number) => Array.from({ length: count }, () => cost);

describe('equal costs', () => {
  test.each([
    [1, 1],
    [3, 3],
    [5, 100],
    [1, 1_000_000],
  ])('quanta 1:3 serve 1:3 (unit %i, cost %i)', (unit, cost) => {
    const classes = [new Costs(unit, times(100, cost)), new Costs(3 * unit, times(100, cost))];
    const served = serve(classes, new DeficitRoundRobin(classes), 80);
    expect(served.map((tokens) => tokens / cost)).toEqual([20, 60]);
  });

  test('equal quanta take turns', () => {
    const classes = [new Costs(10, times(5, 10)), new Costs(10, times(5, 10)), new Costs(10, times(5, 10))];
    expect(serve(classes, new DeficitRoundRobin(classes), 9)).toEqual([30, 30, 30]);
  });
});

test('a class that is empty has no credit, and does not come back with any', () => {
  const classes = [new Costs(1000, [10]), new Costs(10, times(20, 10))];
  const ring = new DeficitRoundRobin(classes);
  expect(serve(classes, ring, 3)).toEqual([10, 20]);
  expect(classes[0]!.deficit).toBe(0);
  classes[0]!.waiting.push(10, 10);
  serve(classes, ring, 20);
  expect(classes.map(({ deficit }) => deficit)).toEqual([0, 0]);
});

test('a class whose head may not go earns nothing and holds up nobody', () => {
  const classes = [new Costs(100, times(10, 50)), new Costs(1, times(10, 50))];
  const ring = new DeficitRoundRobin(classes);
  classes[0]!.blocked = true;
  expect(serve(classes, ring, 5)).toEqual([0, 250]);
  expect(classes[0]!.deficit).toBe(0);
  classes[1]!.blocked = true;
  expect(ring.next()).toBeNull();
});

test('nobody there: nothing', () => {
  const classes = [new Costs(1), new Costs(2)];
  expect(new DeficitRoundRobin(classes).next()).toBeNull();
});

const cost = fc.integer({ min: 1, max: 10_000 });
const quantum = fc.integer({ min: 1, max: 5_000 });

/** How far apart the rounds may be that two classes have been paid for: a quantum and the largest request of either. */
const slack = (a: Costs, b: Costs) => 2 + 10_000 / a.quantum + 10_000 / b.quantum;

test('while all are backlogged, service is in the ratio of the quanta, whatever the costs', () => {
  const backlog = fc.record({ quantum, costs: fc.array(cost, { minLength: 20, maxLength: 30 }) });
  fc.assert(
    fc.property(fc.array(backlog, { minLength: 2, maxLength: 4 }), (table) => {
      const classes = table.map(({ quantum, costs }) => new Costs(quantum, costs));
      const ring = new DeficitRoundRobin(classes);
      const served = classes.map(() => 0);
      while (classes.every(({ isEmpty }) => !isEmpty)) {
        serve(classes, ring, 1).forEach((tokens, index) => {
          served[index]! += tokens;
        });
        const rounds = served.map((tokens, index) => tokens / classes[index]!.quantum);
        const unfair = rounds.some((one, a) =>
          rounds.some((other, b) => one - other > slack(classes[a]!, classes[b]!)),
        );
        if (unfair) throw new Error(`rounds ${rounds.join(' ')}`);
      }
    }),
  );
});

test('whatever comes and is blocked: nothing is lost, credit stays below a quantum and the largest request, empty is 0', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('add' as const), at: fc.nat(3), cost }),
    fc.record({ kind: fc.constant('block' as const), at: fc.nat(3), on: fc.boolean() }),
    fc.record({ kind: fc.constant('next' as const) }),
  );
  fc.assert(
    fc.property(fc.array(quantum, { minLength: 4, maxLength: 4 }), fc.array(step), (quanta, steps) => {
      const classes = quanta.map((each) => new Costs(each));
      const ring = new DeficitRoundRobin(classes);
      let inside = 0;
      for (const each of steps) {
        if (each.kind === 'add') {
          classes[each.at]!.waiting.push(each.cost);
          inside += each.cost;
        } else if (each.kind === 'block') {
          classes[each.at]!.blocked = each.on;
        } else {
          const ready = classes.some((of) => of.head() !== null);
          const got = ring.next();
          expect(got !== null).toBe(ready);
          inside -= got ?? 0;
        }
        expect(classes.every((of) => of.deficit >= 0 && of.deficit <= 10_000 + of.quantum)).toBe(true);
      }
      expect(classes.flatMap(({ waiting }) => waiting).reduce((sum, each) => sum + each, 0)).toBe(inside);
      for (const of of classes) of.blocked = false;
      while (ring.next() !== null);
      expect(classes.every(({ isEmpty, deficit }) => isEmpty && deficit === 0)).toBe(true);
    }),
  );
});
