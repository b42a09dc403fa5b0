/** Does the planner keep its bounds, whatever it is told, and come back when it is told sound things again? */

import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import type { Fleet, PlannedRole } from '../../../durable/planner/fleet.ts';
import { PLANNED_ROLES } from '../../../durable/planner/fleet.ts';
import { type Decision, look, lookMsOf } from '../../../durable/planner/planner.ts';
import {
  type PlannerConfig,
  type PlannerOptions,
  plannerConfig,
} from '../../../durable/planner/planner-config.ts';
import { newPlannerState, PLANNER_STATE, type PlannerState } from '../../../durable/planner/planner-state.ts';
import { Profile } from '../../../durable/planner/profile.ts';
import { type Interval, MetricSource, PROFILE } from './metric-streams.ts';

const profile = new Profile(PROFILE);
const BUSY: Interval = {
  requests: 1200,
  inputTokens: 2_000,
  outputTokens: 100,
  ttftMs: 60,
  itlMs: 12,
  workers: 4,
};
const IDLE: Interval = { ...BUSY, requests: 0 };

/** A fleet that does what it is told after some looks, or only half of it, or not at all. */
class Workers {
  readonly #counts = new Map<PlannedRole, number>();
  readonly #orders: { dueLook: number; role: PlannedRole; to: number }[] = [];
  #look = 0;

  constructor(roles: PlannerConfig['roles'], first: number) {
    for (const role of PLANNED_ROLES) {
      const bounds = roles[role];
      if (bounds) this.#counts.set(role, Math.min(Math.max(first, bounds.min), bounds.max));
    }
  }

  get fleet(): Fleet {
    const fleet: Partial<Record<PlannedRole, Fleet[PlannedRole]>> = {};
    for (const [role, ready] of this.#counts) {
      const order = this.#orders.findLast((each) => each.role === role);
      const starting = order === undefined ? 0 : Math.max(0, order.to - ready);
      fleet[role] = { ready: order === undefined ? ready : Math.min(ready, order.to), starting, draining: 0 };
    }
    return fleet as Fleet;
  }

  obey({ counts, acts }: Decision, lagLooks: number): void {
    if (acts) {
      for (const [role] of this.#counts)
        this.#orders.push({ dueLook: this.#look + lagLooks, role, to: counts[role]! });
    }
    this.#look++;
    while (this.#orders[0] !== undefined && this.#orders[0].dueLook <= this.#look) {
      const { role, to } = this.#orders.shift()!;
      this.#counts.set(role, to);
    }
  }
}

function run(options: PlannerOptions, readings: readonly unknown[], { lagLooks = 0, first = 4 } = {}) {
  const config = plannerConfig(options);
  const workers = new Workers(config.roles, first);
  const decisions: Decision[] = [];
  const begun = workers.fleet;
  let state: PlannerState = newPlannerState();
  readings.forEach((reading, at) => {
    const taken = look(state, { nowMs: at, reading, fleet: workers.fleet }, { config, profile });
    state = taken.state;
    decisions.push(taken.decision);
    workers.obey(taken.decision, lagLooks);
  });
  return { config, decisions, state, begun, fleet: workers.fleet };
}

const steady = (source: MetricSource, interval: Interval, times: number, elapsedMs = 60_000) =>
  Array.from({ length: times }, () => source.pass(elapsedMs, interval));

const OPTIONS: PlannerOptions = { mode: 'sla', roles: { worker: { min: 1, max: 12 } } };

describe('a steady demand', () => {
  it('is met with the same fleet at every look', () => {
    const { decisions } = run(OPTIONS, steady(new MetricSource(), BUSY, 20));
    const counts = decisions.slice(4).map((decision) => decision.counts.worker);
    expect(new Set(counts).size).toBe(1);
    expect(counts[0]).toBeGreaterThan(1);
    expect(counts[0]).toBeLessThan(8);
  });

  it('that doubles gets more workers, and one that ends gets the least', () => {
    const source = new MetricSource();
    const readings = [
      ...steady(source, BUSY, 10),
      ...steady(source, { ...BUSY, requests: 2_400 }, 10),
      ...steady(source, IDLE, 10),
    ];
    const { decisions } = run({ ...OPTIONS, roles: { worker: { min: 0, max: 12 } } }, readings);
    expect(decisions[19]!.counts.worker).toBeGreaterThan(decisions[9]!.counts.worker!);
    expect(decisions[29]!.counts.worker).toBe(0);
  });

  it('gives prefill and decode workers in proportion to what each must do', () => {
    const roles = { prefill: { min: 1, max: 20 }, decode: { min: 1, max: 20 } };
    const { decisions } = run({ mode: 'sla', roles }, steady(new MetricSource(), BUSY, 10));
    // 40,000 prompt tokens/s where a worker computes 34,921 of that length; 2,000 tokens/s of answers.
    expect(decisions[9]!.counts).toEqual({ prefill: 2, decode: 1 });
    const more = run({ mode: 'sla', roles }, steady(new MetricSource(), { ...BUSY, requests: 12_000 }, 10));
    expect(more.decisions[9]!.counts.prefill).toBeGreaterThan(more.decisions[9]!.counts.decode!);
  });
});

describe('what cannot be trusted', () => {
  const source = new MetricSource();
  const before = steady(source, BUSY, 6);
  const after = source.pass(60_000, BUSY);

  it.each([
    ['nothing', null, 'missing'],
    ['not metrics', { hello: 1 }, 'unsound'],
    ['a NaN', { ...after, arrived: Number.NaN }, 'unsound'],
    ['a negative counter', { ...after, inputTokens: -1 }, 'unsound'],
    ['an old reading', before[2], 'late'],
    ['the same reading again', before[5], 'late'],
    ['a counter that began anew', { ...after, arrived: 3 }, 'reset'],
    ['a reading after a long silence', { ...after, atMs: after.atMs + 3_600_000 }, 'gap'],
  ] as const)('%s holds the fleet as it is, and says so', (_name, reading, why) => {
    const { decisions } = run(OPTIONS, [...before, reading]);
    const [held, last] = [decisions.at(-1)!, decisions.at(-2)!];
    expect(held.observation).toEqual({ kind: 'held', why });
    expect(held.acts).toBe(false);
    expect(held.counts).toEqual(last.counts);
    expect(held.because.join()).toContain(why);
  });

  it('is forgotten when sound readings come again', () => {
    const clean = run(OPTIONS, [...before, after]);
    const disturbed = run(OPTIONS, [...before, null, { ...after, arrived: Number.NaN }, after]);
    expect(disturbed.decisions.at(-1)!.counts).toEqual(clean.decisions.at(-1)!.counts);
    expect(disturbed.decisions.at(-1)!.observation!.kind).toBe('measured');
  });
});

test('nothing is done while the last action is under way, and a stuck one ends', () => {
  const source = new MetricSource();
  const readings = [...steady(source, IDLE, 2), ...steady(source, { ...BUSY, requests: 6_000 }, 40)];
  const options = { ...OPTIONS, actionLimitMs: 600_000, maxStep: 2, roles: { worker: { min: 1, max: 12 } } };
  const { decisions } = run(options, readings, { lagLooks: 1_000, first: 1 });
  const acted = decisions.flatMap(({ acts, look: at }) => (acts ? [at] : []));
  expect(acted.length).toBeGreaterThan(1);
  for (let i = 1; i < acted.length; i++) expect(acted[i]! - acted[i - 1]!).toBeGreaterThanOrEqual(10);
  expect(decisions.some(({ because }) => because.includes('the last action is under way'))).toBe(true);
});

test('fewer workers only when the whole start-up time has wanted fewer', () => {
  const source = new MetricSource();
  const readings = [...steady(source, { ...BUSY, requests: 6_000 }, 8), ...steady(source, IDLE, 12)];
  const { decisions } = run({ ...OPTIONS, predictor: 'constant', startupMs: 240_000 }, readings);
  const busy = decisions[7]!.counts.worker!;
  const counts = decisions.slice(8).map((decision) => decision.counts.worker!);
  expect(counts.slice(0, 4).every((count) => count === busy)).toBe(true);
  expect(counts.at(-1)).toBe(1);
});

test('advice is given and not acted on', () => {
  const { decisions } = run(
    { ...OPTIONS, advisory: true },
    steady(new MetricSource(), { ...BUSY, requests: 6_000 }, 8),
  );
  expect(decisions.some(({ counts }) => counts.worker! > 4)).toBe(true);
  expect(decisions.every(({ acts }) => !acts)).toBe(true);
});

const wildNumber = fc.oneof(
  fc.integer({ min: 0, max: 20_000 }),
  fc.constantFrom(0, 0, Number.NaN, -1, Number.POSITIVE_INFINITY, 1e15),
);

type Event =
  | { kind: 'pass'; interval: Interval; elapsedMs: number }
  | { kind: 'engines'; queued: number; decoding: number; wallMs: number }
  | { kind: 'spoiled'; field: string; value: number }
  | { kind: 'clock'; byMs: number }
  | { kind: 'late' | 'missing' | 'rubbish' | 'restart' };

const anyEvent: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('pass' as const),
      elapsedMs: fc.constantFrom(0, 5_000, 60_000, 60_000, 61_000, 700_000),
      interval: fc.record({
        requests: fc.constantFrom(0, 0, 1, 30, 300, 3_000),
        inputTokens: fc.constantFrom(1, 100, 2_000, 90_000),
        outputTokens: fc.constantFrom(1, 100, 2_000),
        ttftMs: fc.constantFrom(1, 60, 900, 100_000),
        itlMs: fc.constantFrom(0, 12, 70),
        workers: fc.integer({ min: 0, max: 12 }),
      }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('engines' as const),
      queued: wildNumber,
      decoding: wildNumber,
      wallMs: wildNumber,
    }),
  },
  fc.record({
    kind: fc.constant('spoiled' as const),
    field: fc.constantFrom('atMs', 'arrived', 'inputTokens', 'workerMs', 'waiting'),
    value: wildNumber,
  }),
  fc.record({ kind: fc.constant('clock' as const), byMs: fc.constantFrom(-1e9, -70_000, 70_000, 1e9) }),
  fc.constantFrom<Event>({ kind: 'late' }, { kind: 'missing' }, { kind: 'rubbish' }, { kind: 'restart' }),
);

/** What arrives at the planner when such things happen at its source, and the source at the end. */
function happen(events: readonly Event[]): { readings: unknown[]; source: MetricSource; skewMs: number } {
  let source = new MetricSource();
  let last: ReturnType<MetricSource['pass']> = source.pass(0, IDLE);
  let skewMs = 0;
  const told: unknown[] = [];
  for (const event of events) {
    switch (event.kind) {
      case 'pass':
      case 'engines':
        last = source.pass(
          event.kind === 'pass' ? event.elapsedMs : 5_000,
          event.kind === 'pass' ? event.interval : IDLE,
        );
        last.atMs += skewMs;
        if (event.kind === 'engines') {
          const { queued: queuedTokens, decoding: decodeKvTokens, wallMs } = event;
          const passes = Array.from({ length: 6 }, (_, i) => ({
            prefillTokens: i * 100,
            decodeKvTokens,
            queuedTokens,
            wallMs,
          }));
          const engine = { decodeKvTokens, maxKvTokens: 100_000, passes };
          last.engines = {
            worker: [{ id: 'a', ...engine }],
            prefill: [{ id: 'b', ...engine }],
            decode: [{ id: 'c', ...engine }],
          };
        }
        told.push(last);
        break;
      case 'spoiled':
        told.push({ ...last, [event.field]: event.value });
        break;
      case 'clock':
        skewMs += event.byMs;
        break;
      case 'late':
        told.push(told[Math.max(0, told.length - 3)] ?? null);
        break;
      case 'missing':
        told.push(null);
        break;
      case 'rubbish':
        told.push({ atMs: 'now', counts: [null] });
        break;
      case 'restart':
        source = new MetricSource();
        break;
    }
  }
  return { readings: told, source, skewMs };
}

const anyOptions: fc.Arbitrary<PlannerOptions> = fc
  .record({
    mode: fc.constantFrom('sla' as const, 'load' as const, 'both' as const),
    predictor: fc.constantFrom(
      'constant' as const,
      'moving-average' as const,
      'kalman' as const,
      'seasonal' as const,
    ),
    isSplit: fc.boolean(),
    min: fc.integer({ min: 0, max: 3 }),
    more: fc.integer({ min: 1, max: 9 }),
    maxStep: fc.integer({ min: 1, max: 8 }),
    startupMs: fc.constantFrom(0, 60_000, 300_000),
    budget: fc.constantFrom(undefined, 8, 12),
    corrected: fc.boolean(),
  })
  .map(({ isSplit, min, more, budget, ...rest }) => {
    const bounds = { min, max: min + more };
    return {
      ...rest,
      intervalMs: 60_000,
      loadIntervalMs: 20_000,
      roles: isSplit ? { prefill: bounds, decode: bounds } : { worker: bounds },
      ...(budget === undefined ? {} : { gpuBudget: budget }),
    };
  });

function checkBounds({ config, decisions, begun }: ReturnType<typeof run>): void {
  const looksPerInterval = Math.ceil(config.intervalMs / lookMsOf(config));
  for (const role of PLANNED_ROLES) {
    const bounds = config.roles[role];
    if (bounds === undefined) continue;
    let from = begun[role]!.ready;
    let direction = 0;
    let turnedAt = Number.NEGATIVE_INFINITY;
    for (const { counts, acts, look: at } of decisions) {
      const to = counts[role]!;
      expect(to).toBeGreaterThanOrEqual(bounds.min);
      expect(to).toBeLessThanOrEqual(bounds.max);
      if (!acts) continue;
      expect(Math.abs(to - from)).toBeLessThanOrEqual(config.maxStep);
      const now = Math.sign(to - from);
      if (now !== 0 && direction !== 0 && now !== direction) {
        expect(at - turnedAt).toBeGreaterThanOrEqual(looksPerInterval);
      }
      if (now !== 0 && now !== direction) turnedAt = at;
      if (now !== 0) direction = now;
      from = to;
    }
  }
  const { gpuBudget } = config;
  if (gpuBudget === undefined) return;
  for (const { counts } of decisions) {
    expect(PLANNED_ROLES.reduce((sum, role) => sum + (counts[role] ?? 0), 0)).toBeLessThanOrEqual(gpuBudget);
  }
}

/** Once found: a role below its least freed room in the budget that it then needed. */
const BUDGET_BELOW_LEAST: [PlannerOptions, Event[], number] = [
  {
    mode: 'sla',
    predictor: 'constant',
    maxStep: 3,
    corrected: false,
    roles: { prefill: { min: 3, max: 6 }, decode: { min: 3, max: 6 } },
    gpuBudget: 8,
  },
  [0, 3_000].map((requests) => ({
    kind: 'pass',
    elapsedMs: 60_000,
    interval: { requests, inputTokens: 1, outputTokens: 2_000, ttftMs: 1, itlMs: 0, workers: 0 },
  })),
  0,
];

test('in 1,000 random streams no bound is broken, and no role turns twice within an interval', () => {
  fc.assert(
    fc.property(
      anyOptions,
      fc.array(anyEvent, { maxLength: 40 }),
      fc.integer({ min: 0, max: 5 }),
      (options, events, lagLooks) => {
        checkBounds(run(options, happen(events).readings, { lagLooks, first: 3 }));
      },
    ),
    { numRuns: 1_000, examples: [BUDGET_BELOW_LEAST] },
  );
});

test('after any stream, sound readings of no demand bring the least fleet, and of great demand a larger one', () => {
  fc.assert(
    fc.property(fc.array(anyEvent, { maxLength: 25 }), fc.integer({ min: 0, max: 3 }), (events, lagLooks) => {
      const outcome = (interval: Interval) => {
        const { readings, source, skewMs } = happen(events);
        const sound = steady(source, interval, 40).map((metrics) => ({
          ...metrics,
          atMs: metrics.atMs + skewMs,
        }));
        return run({ ...OPTIONS, roles: { worker: { min: 1, max: 12 } } }, [...readings, ...sound], {
          lagLooks,
          first: 3,
        });
      };
      expect(outcome(IDLE).fleet.worker!.ready).toBe(1);
      expect(outcome({ ...BUSY, requests: 2_500 }).fleet.worker!.ready).toBeGreaterThan(2);
    }),
    { numRuns: 60 },
  );
});

test('the same inputs give the same decisions, also from a state that was stored between', () => {
  fc.assert(
    fc.property(anyOptions, fc.array(anyEvent, { maxLength: 15 }), (options, events) => {
      const { readings } = happen(events);
      const config = plannerConfig(options);
      const { decisions, fleet } = run(options, readings);
      let state = newPlannerState();
      const workers = new Workers(config.roles, 4);
      readings.forEach((reading, at) => {
        const stored = PLANNER_STATE.parse(JSON.parse(JSON.stringify(state)));
        const taken = look(stored, { nowMs: at, reading, fleet: workers.fleet }, { config, profile });
        state = taken.state;
        expect(taken.decision).toEqual(decisions[at]);
        workers.obey(taken.decision, 0);
      });
      expect(workers.fleet).toEqual(fleet);
    }),
    { numRuns: 100 },
  );
});

describe('a configuration that contradicts itself is refused', () => {
  it.each([
    [{ roles: { worker: { min: 4, max: 3 } } }, 'min 4 is above max 3'],
    [{ roles: { worker: { min: 4, max: 8 } }, gpuBudget: 3 }, 'gpuBudget 3 is below the 4 GPUs'],
    [{ roles: { prefill: { min: 1, max: 8 } } }, 'either worker, or prefill and decode'],
    [{ roles: {} }, 'either worker, or prefill and decode'],
    [{ roles: { worker: { min: 1, max: 8 } }, loadIntervalMs: 90_000 }, 'longer than intervalMs'],
    [{ roles: { worker: { min: 1, max: 8 } }, ttftMs: 0 }, 'ttftMs'],
  ] as const)('%j', (options, message) => {
    expect(() => plannerConfig({ mode: 'sla', ...options } as PlannerOptions)).toThrow(message);
  });
});
