/** Do the proposers ask for what the formulas say? */

import { describe, expect, it, test } from 'vitest';
import { addValue, emptyHistogram, shareAbove } from '../../../../durable/planner/histogram.ts';
import type { Measured } from '../../../../durable/planner/observe.ts';
import { Profile } from '../../../../durable/planner/profile.ts';
import { calibrate, waitFactor } from '../../../../durable/planner/propose/calibration.ts';
import { shareWithoutRoom, squaredSpread } from '../../../../durable/planner/propose/decode-room.ts';
import { type LoadMemory, proposeByLoad, rememberLoad } from '../../../../durable/planner/propose/load.ts';
import { addSamples, lineThrough } from '../../../../durable/planner/propose/regression.ts';
import {
  correctFactors,
  NO_CORRECTION,
  proposeDisaggregated,
} from '../../../../durable/planner/propose/sla-disaggregated.ts';
import { proposeWorkers } from '../../../../durable/planner/propose/sla-workers.ts';
import { formulaWait, missedByWaiting } from '../../../../durable/planner/propose/waiting.ts';
import { PROFILE } from '../metric-streams.ts';

const profile = new Profile(PROFILE);
const targets = { ttftMs: 500, itlMs: 50 };

function histogramOf(...values: number[]) {
  const histogram = emptyHistogram(Array.from({ length: 40 }, (_, i) => 2 ** (i / 2)));
  for (const value of values) addValue(histogram, value);
  return histogram;
}

const measured = (over: Partial<Measured> = {}): Measured => ({
  kind: 'measured',
  elapsedMs: 60_000,
  requests: 100,
  meanInputTokens: 2_000,
  meanOutputTokens: 100,
  meanComputedTokens: 2_000,
  meanTtftMs: 100,
  meanItlMs: 12,
  meanWorkers: 2,
  waiting: 0,
  computedTokens: histogramOf(...new Array(100).fill(2_000)),
  ttftMs: histogramOf(...new Array(100).fill(100)),
  outputTokens: histogramOf(...new Array(100).fill(100)),
  itlMs: histogramOf(...new Array(100).fill(12)),
  ...over,
});

/** Nothing is known but the profile: Dynamo's formulas and no more. */
const UNMEASURED = { calibration: null, lossShare: 0.01, corrected: true, max: { prefill: 99, decode: 99 } };

describe('prefill and decode workers', () => {
  it('cached prompts shrink the prefill load, queueing does not grow it', () => {
    const demand = { requestsPerMs: 0.1, inputTokens: 10_000, outputTokens: 10 };
    const prefill = (factor: number) => {
      const said = proposeDisaggregated({
        demand,
        factors: { prefill: factor, decode: 1 },
        profile,
        targets,
        ...UNMEASURED,
      });
      return said.kind === 'counts' ? said.counts.prefill : null;
    };
    // 1,000,000 tokens/s at 47,619 a worker.
    expect(prefill(1)).toBe(21);
    expect(prefill(3)).toBe(21);
    expect(prefill(0.5)).toBe(11);
  });

  it('answers slower than the profile says want more decode workers', () => {
    const demand = { requestsPerMs: 1, inputTokens: 900, outputTokens: 200 };
    const decode = (factor: number) => {
      const said = proposeDisaggregated({
        demand,
        factors: { prefill: 1, decode: factor },
        profile,
        targets: { ttftMs: 500, itlMs: 20 },
        ...UNMEASURED,
      });
      return said.kind === 'counts' ? said.counts.decode! : 0;
    };
    expect(decode(1)).toBe(Math.ceil(200_000 / ((1000 * 100) / 20)));
    expect(decode(1.4)).toBe(Math.ceil(200_000 / ((1000 * 25) / 12.5)));
    expect(decode(0)).toBe(decode(1));
  });

  it('prompts that wait want more prefill workers, never fewer than throughput does', () => {
    const calibration = calibrate(null, measured(), { profile, targets });
    const demand = { requestsPerMs: 0.05, inputTokens: 2_000, outputTokens: 10 };
    const parts = { ...UNMEASURED, demand, factors: NO_CORRECTION, profile, targets, calibration };
    const counts = (over: Partial<typeof parts>) => {
      const said = proposeDisaggregated({ ...parts, ...over });
      return said.kind === 'counts' ? said.counts : {};
    };
    const byThroughput = counts({ calibration: null }).prefill!;
    expect(counts({}).prefill).toBeGreaterThan(byThroughput);
    expect(counts({ lossShare: 0.9 }).prefill).toBeGreaterThanOrEqual(byThroughput);
    expect(counts({ max: { prefill: byThroughput, decode: 9 } }).prefill).toBe(byThroughput);
    expect(counts({ demand: { ...demand, requestsPerMs: 0 } })).toEqual({ prefill: 0, decode: 0 });
  });

  it('answers that come in no even stream want room for the most of them', () => {
    const demand = { requestsPerMs: 0.1, inputTokens: 9_000, outputTokens: 100 };
    const itlMs = () => 10;
    const share = (workers: number, spread = 0) =>
      shareWithoutRoom({ demand, workers, itlMs, spread, maxKvTokens: 100_000 });
    // 100 under way, 9,050 tokens each: 9.05 workers full on average.
    expect(share(9)).toBeGreaterThan(0.5);
    expect(share(12)).toBeCloseTo(0.000_6, 3);
    expect(share(12, 1)).toBeGreaterThan(share(12));
    expect(
      shareWithoutRoom({
        demand: { ...demand, requestsPerMs: 0 },
        workers: 1,
        itlMs,
        spread: 0,
        maxKvTokens: 1,
      }),
    ).toBe(0);
    expect(squaredSpread(histogramOf(64, 64, 64))).toBeLessThan(0.2);
    expect(squaredSpread(histogramOf(1, 1, 1, 1_000))).toBeGreaterThan(1);
  });

  it('without decode workers or traffic there is nothing to learn of them', () => {
    const factors = correctFactors(NO_CORRECTION, measured(), { profile, decodeWorkers: 0 });
    expect(factors).toEqual({ prefill: 2, decode: 1 });
    const idle = measured({ requests: 0, ttftMs: histogramOf() });
    expect(correctFactors(factors, idle, { profile, decodeWorkers: 2 })).toEqual(factors);
  });
});

describe('workers that do all', () => {
  const calibration = calibrate(null, measured(), { profile, targets });
  const parts = { calibration, profile, targets, lossShare: 0.01, max: 64, corrected: true };
  const count = (requestsPerMs: number) => {
    const said = proposeWorkers({
      ...parts,
      demand: { requestsPerMs, inputTokens: 2_000, outputTokens: 100 },
    });
    return said.kind === 'counts' ? said.counts.worker! : null;
  };

  it('no demand wants none, more demand never fewer', () => {
    expect(count(0)).toBe(0);
    const counts = [0.001, 0.01, 0.05, 0.1, 0.3].map((rate) => count(rate)!);
    expect(counts).toEqual([...counts].sort((left, right) => left - right));
    expect(counts.at(-1)).toBeGreaterThan(0.3 * 50);
  });

  it('before any traffic was measured everything stays', () => {
    const demand = { requestsPerMs: 0.1, inputTokens: 2_000, outputTokens: 100 };
    expect(proposeWorkers({ ...parts, calibration: null, demand }).kind).toBe('hold');
  });

  it('prompts too long for the target even alone buy no worker', () => {
    const long = calibrate(null, measured({ computedTokens: histogramOf(...new Array(100).fill(90_000)) }), {
      profile,
      targets,
    });
    const demand = { requestsPerMs: 0.0001, inputTokens: 90_000, outputTokens: 10 };
    expect(proposeWorkers({ ...parts, calibration: long, demand })).toMatchObject({ counts: { worker: 1 } });
  });

  it('longer waits than the formula says are learned, and forgotten', () => {
    const slow = measured({ meanTtftMs: 2_000 });
    let learned = calibrate(null, slow, { profile, targets });
    expect(waitFactor(learned!)).toBeGreaterThan(10);
    for (let i = 0; i < 40; i++)
      learned = calibrate(learned, measured({ meanTtftMs: 50 }), { profile, targets });
    expect(waitFactor(learned!)).toBeLessThan(1);
  });
});

test('the formula for waiting is that of Pollaczek and Khinchin, and has no end where a worker is full', () => {
  const times = { points: [{ ms: 100, weight: 1 }], meanMs: 100, meanSquareMs2: 10_000 };
  // Half busy with equal work: half a piece of work, twice.
  expect(formulaWait(times, 0.005)).toEqual({ busy: 0.5, meanMs: 50 });
  expect(formulaWait(times, 0.01).meanMs).toBe(Number.POSITIVE_INFINITY);
  expect(missedByWaiting(times, { busy: 0.5, meanMs: 50 }, 200)).toBeCloseTo(0.5 * Math.exp(-1), 9);
  expect(missedByWaiting(times, { busy: 0.5, meanMs: 50 }, 90)).toBe(0);
});

test('a share above a limit is cut within its bucket', () => {
  const histogram = { bounds: [100, 200], counts: [2, 2, 1], sum: 0 };
  expect(shareAbove(histogram, 150)).toBeCloseTo(2 / 5);
  expect(shareAbove(histogram, 0)).toBe(1);
  expect(shareAbove(histogram, 200)).toBeCloseTo(1 / 5);
});

const WINDOW = 3;

describe('by load', () => {
  const passes = [1_000, 2_000, 3_000, 4_000, 5_000, 6_000].map((prefillTokens) => ({
    prefillTokens,
    decodeKvTokens: 0,
    queuedTokens: 0,
    wallMs: 20 + 0.05 * prefillTokens,
  }));
  const steps = [0, 1, 2, 3, 4, 5].map((i) => ({
    prefillTokens: 0,
    decodeKvTokens: 1 + 10_000 * i,
    queuedTokens: 0,
    wallMs: 10 + i,
  }));
  const engine = (id: string, queuedTokens: number) => ({
    id,
    decodeKvTokens: 1_000,
    maxKvTokens: 200_000,
    // The queue is there at every prompt.
    passes: [...passes.map((pass) => ({ ...pass, queuedTokens })), ...steps],
  });
  const memoryAfter = (...queues: number[]): LoadMemory => {
    let memory: LoadMemory = {};
    for (let i = 0; i < 3; i++) {
      memory = rememberLoad(
        memory,
        { worker: queues.map((queued, at) => engine(String(at), queued)) },
        WINDOW,
      );
    }
    return memory;
  };
  const verdict = (memory: LoadMemory, workers: number) => {
    const said = proposeByLoad({
      memory,
      counts: { worker: workers },
      targets,
      inputTokens: 2_000,
      maxBatchedTokens: 8_192,
      windowReadings: 3,
    });
    return said.kind === 'counts' ? said.counts.worker! - workers : null;
  };

  it('one more when every engine is over the target, not when one is', () => {
    expect(verdict(memoryAfter(20_000, 20_000, 20_000), 3)).toBe(1);
    expect(verdict(memoryAfter(20_000, 0, 0), 3)).toBe(0);
  });

  it('one less when the rest can take its share', () => {
    expect(verdict(memoryAfter(0, 0, 0), 3)).toBe(-1);
    // 5,000 tokens queue now for 270 ms; with a third fewer engines 7,500 would, above 0.8 of what is left of the target.
    expect(verdict(memoryAfter(5_000, 5_000, 5_000), 3)).toBe(0);
  });

  it('a queue that was deep in the window still counts', () => {
    const before = memoryAfter(5_000, 5_000);
    expect(verdict(before, 2)).toBe(0);
    const readings = [engine('0', 0), engine('1', 0)];
    const once = rememberLoad(before, { worker: readings }, WINDOW);
    expect(verdict(once, 2)).toBe(0);
    const twice = rememberLoad(once, { worker: readings }, WINDOW);
    expect(verdict(twice, 2)).toBe(-1);
  });

  it('five passes must have been measured', () => {
    const memory = rememberLoad({}, { worker: [{ ...engine('0', 0), passes: passes.slice(0, 4) }] }, WINDOW);
    expect(verdict(memory, 1)).toBe(null);
  });
});

test('a regression keeps few samples of every size', () => {
  const light = Array.from({ length: 500 }, (_, i): [number, number] => [i % 10, 1]);
  const samples = addSamples(addSamples([], [[1_000, 50]]), light);
  expect(samples.length).toBeLessThanOrEqual(64);
  expect(samples).toContainEqual([1_000, 50]);
  const line = lineThrough(
    addSamples(
      [],
      Array.from({ length: 30 }, (_, x): [number, number] => [x, 3 + 2 * x]),
    ),
  )!;
  expect(line(100)).toBeCloseTo(203);
});
