/** Does a rank's timing find out what its engine takes, from few reports, noisy ones, and odd ones? */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EngineTiming } from '../../../durable/router/engine-timing.ts';
import { taughtTiming } from './taught-timing.ts';

const PASS = 8_192;

describe('before any report', () => {
  const timing = new EngineTiming();

  test('prompts take what the mocker takes, made straight', () => {
    expect(timing.prefillMs(4_096, PASS)).toBeCloseTo(16.5 + 0.0184 * 4_096, 6);
  });

  test('a prompt longer than a pass pays for each pass', () => {
    expect(timing.prefillMs(2 * PASS, PASS) - 2 * timing.prefillMs(PASS, PASS)).toBeCloseTo(0, 6);
  });

  test('steps get longer with the blocks in use, up to all of them', () => {
    const steps = [0, 500, 1_000, 5_000].map((used) => timing.stepMs(used, 1_000));
    expect(steps).toEqual([6, 28.5, 51, 51]);
  });

  test('a worker that never said how many blocks it has is like an empty one', () => {
    expect([timing.stepMs(0, 0), timing.stepMs(700, 0)]).toEqual([6, 6]);
  });
});

describe('of prompts', () => {
  test('a line is found: time of a pass and time of a token', () => {
    const timing = taughtTiming({ passMs: 5, tokenMs: 0.08 });
    expect(timing.prefillMs(3_000, PASS)).toBeCloseTo(5 + 0.08 * 3_000, 3);
    expect(timing.tokenMs).toBeCloseTo(0.08, 5);
  });

  test('an engine that gets twice as slow is known to be after fifty reports', () => {
    const timing = taughtTiming({ passMs: 10, tokenMs: 0.02 });
    for (let i = 0; i < 50; i++) {
      const tokens = 500 * (1 + (i % 8));
      timing.learnPrefill(tokens, 20 + 0.04 * tokens);
    }
    expect(timing.prefillMs(2_000, PASS) / (20 + 0.04 * 2_000)).toBeGreaterThan(0.9);
  });

  test('of one length alone, that length is right and nothing is believed of a pass', () => {
    const timing = new EngineTiming();
    for (let i = 0; i < 400; i++) timing.learnPrefill(1_000, 70);
    expect(timing.prefillMs(1_000, PASS)).toBeCloseTo(70, 6);
    expect(timing.tokenMs).toBeCloseTo(0.07, 6);
  });

  test('noise is averaged: a fifth up or down leaves a prediction within a tenth', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: -0.2, max: 0.2, noNaN: true }), { minLength: 400 }), (noise) => {
        const timing = new EngineTiming();
        const alternating = noise.map((share, i) => (i % 2 === 0 ? share : -noise[i - 1]!));
        alternating.forEach((share, i) => {
          const tokens = 500 * (1 + (Math.floor(i / 2) % 12));
          timing.learnPrefill(tokens, (16 + 0.02 * tokens) * (1 + share));
        });
        expect(timing.prefillMs(3_000, PASS) / (16 + 0.02 * 3_000)).toBeCloseTo(1, 0.7);
      }),
      { numRuns: 20 },
    );
  });

  test('shorter ones that took longer tell no line: all of the time is the tokens’', () => {
    const timing = new EngineTiming();
    for (let i = 0; i < 400; i++) timing.learnPrefill(i % 2 === 0 ? 100 : 900, i % 2 === 0 ? 90 : 10);
    expect(timing.tokenMs).toBeCloseTo(0.1, 2);
  });

  test('however fast the engine, a cached token is worth something', () => {
    expect(taughtTiming({ passMs: 1e-6, tokenMs: 1e-9 }).tokenMs).toBeGreaterThan(0);
  });
});

describe('of answers', () => {
  test('steps twice as long are believed, whatever share of the cache they were taken at', () => {
    const timing = new EngineTiming();
    for (let i = 0; i < 400; i++) {
      const used = (i * 37) % 1_000;
      timing.learnDecode(50, 50 * 2 * (6 + 45 * (used / 1_000)), used, 1_000);
    }
    expect(timing.stepMs(0, 1_000)).toBeCloseTo(12, 3);
    expect(timing.stepMs(1_000, 1_000)).toBeCloseTo(102, 3);
  });

  test('one report alone moves little', () => {
    const timing = new EngineTiming();
    timing.learnDecode(2, 400, 0, 1_000);
    expect(timing.stepMs(0, 1_000)).toBeLessThan(9);
  });
});

test('reports that cannot be change nothing', () => {
  const timing = new EngineTiming();
  const before = [timing.prefillMs(999, PASS), timing.stepMs(300, 1_000)];
  for (const [amount, ms] of [
    [0, 5],
    [-3, 5],
    [100, 0],
    [100, -1],
    [Number.NaN, 5],
    [100, Number.NaN],
  ] as const) {
    timing.learnPrefill(amount, ms);
    timing.learnDecode(amount, ms, 10, 1_000);
  }
  expect([timing.prefillMs(999, PASS), timing.stepMs(300, 1_000)]).toEqual(before);
});

test('whatever is reported, longer prompts never take less and every time is finite and not negative', () => {
  const report = fc.tuple(
    fc.integer({ min: 1, max: 131_072 }),
    fc.double({ min: 1e-3, max: 1e6, noNaN: true }),
  );
  fc.assert(
    fc.property(
      fc.array(report, { maxLength: 60 }),
      fc.nat(100_000),
      fc.nat(5_000),
      (reports, tokens, more) => {
        const timing = new EngineTiming();
        for (const [amount, ms] of reports) {
          timing.learnPrefill(amount, ms);
          timing.learnDecode(amount, ms, amount % 1_000, 1_000);
        }
        const times = [
          timing.prefillMs(tokens, PASS),
          timing.prefillMs(tokens + more, PASS),
          timing.stepMs(9, 99),
        ];
        expect(times.every((ms) => Number.isFinite(ms) && ms >= 0)).toBe(true);
        expect(times[1]!).toBeGreaterThanOrEqual(times[0]!);
      },
    ),
  );
});
