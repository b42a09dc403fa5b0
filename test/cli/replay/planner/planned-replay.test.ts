/** Does a replay with the planner add up: workers that start, drain and are paid for, and the fleets it is compared with? */

import { beforeAll, describe, expect, it, test } from 'vitest';
import type { Plan } from '../../../../cli/replay/plan.ts';
import { planOf } from '../../../../cli/replay/plan.ts';
import { FixedFleets, oracle } from '../../../../cli/replay/planner/oracle.ts';
import {
  type PlannedReport,
  plannedReplay,
  plannedReplays,
} from '../../../../cli/replay/planner/planned-replay.ts';
import { SchedulePilot } from '../../../../cli/replay/planner/schedule-pilot.ts';
import { attainmentOf, missedTargets } from '../../../../cli/replay/planner/targets.ts';
import { replay, simulate } from '../../../../cli/replay/replay.ts';
import { reportText } from '../../../../cli/replay/report-text.ts';
import { cut } from '../../../sim/small-trace.ts';

const trace = cut('synthetic', 300);
const cell = { trace, blocks: 4_096 };
const TARGETS = { ttftMs: 500, itlMs: 50 };
const BOUNDS = { min: 1, max: 5 };
const MS_PER_HOUR = 3_600_000;

function follow(plan: Plan, workers: number[], startupMs = 0) {
  let pilot: SchedulePilot | undefined;
  const parts = simulate(plan, {}, (simulation) => {
    pilot = new SchedulePilot(simulation.pools[0]!, { intervalMs: 20_000, workers }, startupMs);
    return pilot;
  });
  const endMs = parts.recorder.endMs.reduce((last, each) => Math.max(last, each), 0);
  return { ...parts, endMs, paidMs: pilot!.fleet.paidMs(endMs), pool: parts.pools[0]! };
}

describe('a fleet that follows a schedule', () => {
  it('of one size does exactly what a fixed fleet does', () => {
    const plan = planOf({ ...cell, workers: 4 });
    const fixed = simulate(plan, {});
    const followed = follow(plan, [4, 4, 4]);
    expect(followed.recorder.endMs).toEqual(fixed.recorder.endMs);
    expect(followed.paidMs).toBeCloseTo(4 * followed.endMs);
  });

  it('answers every request while workers come and go, and pays from order to stop', () => {
    const { recorder, pool, paidMs, endMs } = follow(planOf({ ...cell, workers: 2 }), [2, 5, 2], 10_000);
    expect(recorder.unanswered).toBe(0);
    expect(pool.workers.length).toBe(5);
    for (const worker of pool.workers.slice(2)) expect(worker.requests).toBeGreaterThan(0);
    // Two all the time, three for half a minute and what they had left.
    const least = 2 * endMs + 3 * 30_000;
    expect(paidMs).toBeGreaterThanOrEqual(least);
    expect(paidMs).toBeLessThan(least + 3 * 20_000);
  });
});

test('the oracle loses almost nothing against the largest fleet and pays less', () => {
  const plan = planOf({ ...cell, workers: 5 });
  const fleets = new FixedFleets(plan, TARGETS);
  const best = oracle(plan, fleets, {
    targets: TARGETS,
    intervalMs: 20_000,
    startupMs: 0,
    lossShare: 0.01,
    min: { worker: BOUNDS.min },
    max: { worker: BOUNDS.max },
  });
  const largest = fleets.of({ worker: 5 });
  expect(attainmentOf(best.missed)).toBeGreaterThan(attainmentOf(largest.missed) - 0.015);
  expect(best.paidMs).toBeLessThan(largest.paidMs);
  expect(best.workers.worker!.every((workers) => workers >= 1 && workers <= 5)).toBe(true);
});

describe('the planner', () => {
  let report: PlannedReport;
  beforeAll(() => {
    report = plannedReplay(cell, { planner: 'sla', min: 1, max: 7, startup: 10, interval: 10 });
  });

  it('adds its figures to those of the replay', () => {
    const { planner, ...rest } = report;
    expect(Object.keys(rest)).toEqual(Object.keys(replay({ ...cell, workers: 1 })));
    expect(rest.requests).toBe(300);
    expect(planner.attainment).toBeGreaterThan(0.8);
    expect(planner.worker_hours).toBeLessThan((7 * report.duration_ms) / MS_PER_HOUR);
    expect(planner.static.workers).toBe(
      Math.round((planner.worker_hours * MS_PER_HOUR) / report.duration_ms),
    );
    for (const { workers, because } of planner.decisions) {
      expect(Number(workers) >= BOUNDS.min && Number(workers) <= 7).toBe(true);
      expect(because.join()).toContain('requests/s');
    }
    expect(reportText(report)).toMatch(/planner \(sla\) +[\d.]+ % +[\d.]+ worker hours/);
  });

  it('gives the same bytes again', () => {
    expect(
      JSON.stringify(plannedReplay(cell, { planner: 'sla', min: 1, max: 7, startup: 10, interval: 10 })),
    ).toBe(JSON.stringify(report));
  });

  it('that may not move is the fixed fleet', () => {
    const { planner, ...rest } = plannedReplay(cell, { planner: 'sla', min: 3, max: 3 });
    expect(planner.decisions).toEqual([]);
    expect(rest).toEqual(replay({ ...cell, workers: 3 }));
    expect(planner.attainment).toBe(planner.static.attainment);
    expect(planner.oracle.attainment).toBe(planner.static.attainment);
  });

  it('by load sizes the fleet, too', () => {
    const { planner } = plannedReplay(cell, { planner: 'load', min: 1, max: 7, interval: 10 });
    expect(planner.decisions.length).toBeGreaterThan(0);
    expect(planner.decisions[0]!.because.join()).toContain('worker: down');
  });
});

describe('prefill and decode pools', () => {
  const pools = { ...cell, prefillWorkers: 4, decodeWorkers: 3 };
  const options = { planner: 'sla', min: 1, max: 5, startup: 10, interval: 10 };

  it('are sized each for itself, beside a fixed fleet and an oracle of both', () => {
    const report = plannedReplay(pools, options);
    const { planner } = report;
    expect(report.requests).toBe(300);
    expect(planner.decisions.length).toBeGreaterThan(0);
    for (const { workers } of planner.decisions) {
      const { prefill, decode } = workers as { prefill: number; decode: number };
      expect([prefill, decode].every((count) => count >= 1 && count <= 5)).toBe(true);
    }
    expect(Object.keys(planner.static.workers)).toEqual(['prefill', 'decode']);
    expect(Object.keys(planner.oracle.workers)).toEqual(['prefill', 'decode']);
    expect(planner.oracle.attainment).toBeGreaterThan(0.8);
    expect(reportText(report)).toMatch(/\d prefill \+ \d decode, fixed/);
    expect(JSON.stringify(plannedReplay(pools, options))).toBe(JSON.stringify(report));
  });

  it('that may not move are the fixed fleet', () => {
    const { planner, ...rest } = plannedReplay(
      { ...pools, prefillWorkers: 3 },
      { planner: 'sla', min: 3, max: 3 },
    );
    expect(rest).toEqual(replay({ ...pools, prefillWorkers: 3 }));
    expect(planner.attainment).toBe(planner.static.attainment);
  });

  it('by load sizes both, too', () => {
    const { planner } = plannedReplay(pools, { ...options, planner: 'load' });
    expect(planner.decisions.length).toBeGreaterThan(0);
  });

  it('must begin within their bounds', () => {
    expect(() => plannedReplay(pools, { ...options, max: 3 })).toThrow('--prefill-workers 4 is not from');
  });
});

test('several start-up times give a report each, as each alone does', () => {
  const options = { planner: 'sla', min: 1, max: 3, interval: 10 };
  const reports = [...plannedReplays(cell, { ...options, startups: [0, 30] })];
  expect(reports).toEqual([0, 30].map((startup) => plannedReplay(cell, { ...options, startup })));
});

test('attainment counts a request that keeps both targets, and none that was rejected', () => {
  const tiny = { ...trace, requests: trace.requests.slice(0, 4) };
  const { plan, recorder } = simulate(planOf({ trace: tiny, workers: 4 }), {});
  expect(attainmentOf(missedTargets(plan, recorder, { ttftMs: 1e6, itlMs: 1e6 }))).toBe(1);
  expect(attainmentOf(missedTargets(plan, recorder, { ttftMs: 1e6, itlMs: 0.1 }))).toBe(0);
  expect(attainmentOf(missedTargets(plan, recorder, { ttftMs: 1, itlMs: 1e6 }))).toBe(0);
  recorder.rejected[0] = 1;
  expect(attainmentOf(missedTargets(plan, recorder, { ttftMs: 1e6, itlMs: 1e6 }))).toBe(0.75);
});
