/**
 * The whole object in a bad world: metrics that are wrong in every way, a connector that is slow, throws, does half or lies, a
 * router that does not answer, a clock that jumps, crashes. Bounds hold, directions change at most once an interval, nothing
 * is ordered while an order is under way, and when the world is sound again it is served.
 */

import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import type { Connector, Order, Progress } from '../../../durable/planner/connectors/connector.ts';
import {
  type Fleet,
  PLANNED_ROLES,
  type PlannedRole,
  settledCounts,
} from '../../../durable/planner/fleet.ts';
import { lookMsOf } from '../../../durable/planner/planner.ts';
import { DecisionReplay } from '../../../durable/planner/replay.ts';
import type { DecisionPage, LogStart } from '../../../durable/planner/rpc.ts';
import { BUSY_INTERVAL, IDLE_INTERVAL, type Interval, MetricSource } from './metric-streams.ts';
import { PlannerWorld, ready } from './planner-world.ts';

/** The connector of the world under test; objects take it in place of a registered one. */
const stage = vi.hoisted(() => ({ connector: null as unknown }));
vi.mock('../../../durable/planner/connectors/registry.ts', () => ({
  openConnector: () => stage.connector,
}));

const FAULTS = ['none', 'throws', 'hangs', 'half', 'lies', 'forgets', 'fails', 'pends'] as const;
type Fault = (typeof FAULTS)[number];

/** Does at once what it is told, unless it is told how to be faulty. */
class FaultyConnector implements Connector {
  fault: Fault = 'none';
  lie = 0;
  counts: Partial<Record<PlannedRole, number>>;
  readonly taken: Order[] = [];
  #progress: Progress = { kind: 'none' };

  constructor(counts: Partial<Record<PlannedRole, number>>) {
    this.counts = counts;
  }

  async fleet(): Promise<Fleet> {
    await this.#mayFail();
    if (this.fault !== 'lies') return ready(this.counts);
    const figure = [Number.NaN, -3, 1e9, 2.5, 0, 7][this.lie % 6]!;
    return { worker: { ready: figure, starting: figure, draining: figure }, prefill: null } as never;
  }

  async order(order: Order): Promise<void> {
    await this.#mayFail();
    if (this.fault === 'forgets') return;
    this.taken.push(order);
    const failed: Progress = { kind: 'failed', why: 'no room' };
    this.#progress = this.fault === 'fails' ? failed : { kind: this.fault === 'pends' ? 'pending' : 'done' };
    if (this.fault === 'fails' || this.fault === 'pends') return;
    for (const [role, to] of Object.entries(order.counts) as [PlannedRole, number][]) {
      const from = this.counts[role] ?? 0;
      this.counts[role] = this.fault === 'half' ? Math.trunc((from + to) / 2) : to;
    }
  }

  async progress(): Promise<Progress> {
    await this.#mayFail();
    if (this.fault === 'lies')
      return [{ kind: 'done' }, { kind: 'none' }, null, { kind: 'what' }][this.lie % 4] as never;
    return this.#progress;
  }

  #mayFail(): Promise<void> {
    if (this.fault === 'throws') throw new Error('the connector is broken');
    return this.fault === 'hangs' ? new Promise(() => {}) : Promise.resolve();
  }
}

interface Step {
  fault: Fault;
  lie: number;
  metrics: 'sound' | 'none' | 'rubbish' | 'late' | 'reset' | 'hangs' | 'throws' | 'spoiled';
  value: number;
  interval: Interval;
  jumpMs: number;
  event: 'none' | 'crash' | 'wake';
}

const anyStep: fc.Arbitrary<Step> = fc.record({
  fault: fc.constantFrom('none', 'none', 'none', ...FAULTS),
  lie: fc.integer({ min: 0, max: 11 }),
  metrics: fc.constantFrom(
    'sound',
    'sound',
    'sound',
    'none',
    'rubbish',
    'late',
    'reset',
    'hangs',
    'throws',
    'spoiled',
  ),
  value: fc.constantFrom(Number.NaN, -1, Number.POSITIVE_INFINITY, 1e15, 0),
  interval: fc.record({
    requests: fc.constantFrom(0, 0, 30, 1_200, 6_000),
    inputTokens: fc.constantFrom(100, 2_000, 30_000),
    outputTokens: fc.constantFrom(1, 200),
    ttftMs: fc.constantFrom(60, 900),
    itlMs: fc.constantFrom(0, 12, 70),
    workers: fc.integer({ min: 0, max: 8 }),
  }),
  jumpMs: fc.constantFrom(0, 0, 0, -86_400_000, 3_600_000),
  event: fc.constantFrom('none', 'none', 'none', 'none', 'crash', 'wake'),
});

const anySettings = fc.record({
  mode: fc.constantFrom('sla', 'both'),
  isSplit: fc.boolean(),
  min: fc.integer({ min: 0, max: 2 }),
  more: fc.integer({ min: 1, max: 6 }),
  maxStep: fc.integer({ min: 1, max: 8 }),
  startupS: fc.constantFrom(0, 60),
  budget: fc.constantFrom(null, 6),
});
type AnySettings = typeof anySettings extends fc.Arbitrary<infer T> ? T : never;

const LOOK_MS = 20_000;

function envOf({ mode, isSplit, min, more, maxStep, startupS, budget }: AnySettings): Record<string, string> {
  return {
    STATOR_PLANNER: mode,
    STATOR_PLANNER_MIN: String(min),
    STATOR_PLANNER_MAX: String(min + more),
    ...(isSplit ? { STATOR_PLANNER_PREFILL_MIN: String(min) } : {}),
    STATOR_PLANNER_MAX_STEP: String(maxStep),
    STATOR_PLANNER_STARTUP_SECS: String(startupS),
    STATOR_PLANNER_INTERVAL_SECS: mode === 'sla' ? '20' : '60',
    STATOR_PLANNER_LOAD_INTERVAL_SECS: '20',
    STATOR_PLANNER_ACTION_LIMIT_SECS: '100',
    ...(budget === null ? {} : { STATOR_PLANNER_GPU_BUDGET: String(budget) }),
  };
}

interface Run {
  world: PlannerWorld;
  connector: FaultyConnector;
  step: { now: Step | null };
  interval: { now: Interval };
  pass(): Promise<void>;
}

function begin(settings: AnySettings): Run {
  const { isSplit, min } = settings;
  const connector = new FaultyConnector(isSplit ? { prefill: min, decode: min } : { worker: min });
  stage.connector = connector;
  let source = new MetricSource();
  let lastMetrics: unknown = null;
  const step: Run['step'] = { now: null };
  const interval: Run['interval'] = { now: IDLE_INTERVAL };
  const world = new PlannerWorld(envOf(settings), async () => {
    const { metrics: kind, value } = step.now ?? { metrics: 'sound', value: 0 };
    if (kind === 'hangs') return new Promise(() => {});
    if (kind === 'throws') throw new Error('the router is away');
    if (kind === 'reset') source = new MetricSource();
    const told = (metrics: unknown) => ({ metrics, registered: {} });
    if (kind === 'none') return told(null);
    if (kind === 'rubbish') return told({ hello: ['world'] });
    if (kind === 'late') return told(lastMetrics);
    const metrics = source.pass(LOOK_MS, interval.now);
    metrics.atMs += world.host.skewMs;
    lastMetrics = metrics;
    return told(kind === 'spoiled' ? { ...metrics, arrived: value, waiting: value } : metrics);
  });
  return { world, connector, step, interval, pass: () => world.host.advance(LOOK_MS) };
}

async function endure(run: Run, steps: readonly Step[]): Promise<void> {
  const { world, connector, step, interval } = run;
  await world.planner.status();
  for (const now of steps) {
    step.now = now;
    interval.now = now.interval;
    connector.fault = now.fault;
    connector.lie = now.lie;
    world.host.skewMs += now.jumpMs;
    if (now.event === 'crash') world.crash();
    const woken = now.event === 'wake' ? world.planner.wake().catch(() => null) : null;
    await run.pass();
    void woken;
  }
  step.now = null;
  connector.fault = 'none';
}

/** All that was decided, and that it can be decided again. */
async function logOf({ world }: Run): Promise<DecisionPage> {
  const page = await world.planner.decisions({ after: 0, limit: 200, replay: true });
  const replay = new DecisionReplay();
  replay.take(page);
  expect(replay.different).toEqual([]);
  return page;
}

function checkLog({ decisions, starts }: DecisionPage): void {
  let config: LogStart['config'] | null = null;
  const turned = new Map<PlannedRole, { direction: number; look: number }>();
  let pending: number | null = null;
  for (const { id, input, decision, outcome } of decisions) {
    config = starts[id]?.config ?? config!;
    const { counts, acts, look } = decision;
    const total = PLANNED_ROLES.reduce((sum, role) => sum + (counts[role] ?? 0), 0);
    if (acts) expect(total).toBeLessThanOrEqual(config.gpuBudget ?? Number.POSITIVE_INFINITY);
    const from = settledCounts(input.fleet);
    const fromTotal = PLANNED_ROLES.reduce((sum, role) => sum + (from[role] ?? 0), 0);
    const isWithinBudget = fromTotal <= (config.gpuBudget ?? Number.POSITIVE_INFINITY);
    for (const role of PLANNED_ROLES) {
      const bounds = config.roles[role];
      if (bounds === undefined) continue;
      const to = counts[role]!;
      expect(to).toBeGreaterThanOrEqual(bounds.min);
      expect(to).toBeLessThanOrEqual(bounds.max);
      if (!acts) continue;
      // A fleet that is told to be out of its bounds is brought back into them, whatever that takes.
      const isWithin = isWithinBudget && from[role]! >= bounds.min && from[role]! <= bounds.max;
      if (isWithin) expect(Math.abs(to - from[role]!)).toBeLessThanOrEqual(config.maxStep);
      const direction = Math.sign(to - from[role]!);
      const before = turned.get(role);
      if (direction === 0 || direction === before?.direction) continue;
      if (before !== undefined && isWithin) {
        const looksPerInterval = Math.ceil(config.intervalMs / lookMsOf(config));
        expect(look - before.look).toBeGreaterThanOrEqual(looksPerInterval);
      }
      turned.set(role, { direction, look });
    }
    if (acts && decision.because[0] !== 'a request waits') {
      // An order that is still waited for leaves the log only with the next one after it has ended.
      expect(pending === null || decisions.find((one) => one.id === pending)!.outcome !== 'superseded').toBe(
        true,
      );
    }
    if (acts) pending = outcome === 'superseded' ? null : id;
  }
}

test('in 1,000 bad worlds no bound is broken and nothing turns twice within an interval', async () => {
  await fc.assert(
    fc.asyncProperty(
      anySettings,
      fc.array(anyStep, { minLength: 2, maxLength: 8 }),
      async (settings, steps) => {
        const run = begin(settings);
        await endure(run, steps);
        checkLog(await logOf(run));
        for (const { counts } of run.connector.taken) {
          for (const count of Object.values(counts)) {
            expect(count).toBeGreaterThanOrEqual(settings.min);
            expect(count).toBeLessThanOrEqual(settings.min + settings.more);
          }
        }
      },
    ),
    { numRuns: 1_000 },
  );
}, 120_000);

test('after any bad world a sound one is served: the least fleet without demand, a larger one with much', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { maxLength: 8 }), fc.boolean(), async (steps, isBusy) => {
      const settings: AnySettings = {
        mode: 'sla',
        isSplit: false,
        min: 1,
        more: 9,
        maxStep: 8,
        startupS: 0,
        budget: null,
      };
      const run = begin(settings);
      await endure(run, steps);
      run.interval.now = isBusy ? { ...BUSY_INTERVAL, requests: 833 } : IDLE_INTERVAL;
      for (let look = 0; look < 30; look++) await run.pass();
      const { worker } = run.connector.counts;
      if (isBusy) expect(worker).toBeGreaterThan(2);
      else expect(worker).toBe(1);
    }),
    { numRuns: 40 },
  );
}, 120_000);
