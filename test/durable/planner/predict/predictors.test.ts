/** Do the predictors say what the reference implementations say, and something sound of any history? */

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { chooseModel } from '../../../../durable/planner/predict/arima.ts';
import { runArma } from '../../../../durable/planner/predict/arma.ts';
import { forecast } from '../../../../durable/planner/predict/forecast.ts';
import { PREDICTORS, type PredictorName, predictorOf } from '../../../../durable/planner/predict/registry.ts';
import { kpss } from '../../../../durable/planner/predict/stationarity.ts';

interface Vectors {
  series: Record<string, number[]>;
  kpss: Record<string, number>;
  arma: {
    series: string;
    ar: number[];
    ma: number[];
    mean: number;
    logLikelihood: number;
    variance: number;
    forecast: number[];
  }[];
  automatic: Record<string, { p: number; d: number; q: number; logLikelihood: number; forecast: number[] }>;
  kalman: Record<string, number[]>;
  seasonal: Record<string, number[]>;
}

const FILE = new URL('../../../fixtures/forecast_vectors.json', import.meta.url).pathname;
const vectors = JSON.parse(readFileSync(FILE, 'utf8')) as Vectors;
const names = Object.keys(vectors.series);
const STEPS = 4;

function say(name: PredictorName, history: readonly number[], log = false): number[] {
  const predictor = predictorOf(name, { averagedPoints: 5, seasonPoints: 12 });
  return forecast(predictor, history, { steps: STEPS, log });
}

/** Each value within a share of the reference's. */
function near(values: readonly number[], reference: readonly number[], share: number): void {
  expect(values).toHaveLength(reference.length);
  values.forEach((value, at) => {
    expect(Math.abs(value - reference[at]!)).toBeLessThanOrEqual(share * Math.abs(reference[at]!));
  });
}

describe('against statsmodels and filterpy', () => {
  it.each(vectors.arma)('the likelihood and forecast of ARMA $ar $ma on $series', (recorded) => {
    const run = runArma(recorded, vectors.series[recorded.series]!, STEPS);
    near([run.logLikelihood, run.variance], [recorded.logLikelihood, recorded.variance], 1e-9);
    near(run.forecast, recorded.forecast, 1e-9);
  });

  it.each(names)('the KPSS statistic of %s', (name) => {
    near([kpss(vectors.series[name]!)], [vectors.kpss[name]!], 1e-9);
  });

  it.each(names)('the order, likelihood and forecast that ARIMA chooses for %s', (name) => {
    const recorded = vectors.automatic[name]!;
    const { d, model } = chooseModel(vectors.series[name]!);
    expect([model.ar.length, d, model.ma.length]).toEqual([recorded.p, recorded.d, recorded.q]);
    expect(model.logLikelihood).toBeGreaterThan(recorded.logLikelihood - 1e-3);
    if (recorded.p + recorded.q > 0) near(say('arima', vectors.series[name]!), recorded.forecast, 2e-3);
  });

  it.each(names)('the Kalman filter on %s', (name) => {
    near(say('kalman', vectors.series[name]!), vectors.kalman[name]!, 1e-9);
  });

  it.each(names)('trend and season of %s', (name) => {
    near(say('seasonal', vectors.series[name]!), vectors.seasonal[name]!, 1e-7);
  });
});

test('a moving average and a constant', () => {
  expect(say('moving-average', [9, 1, 2, 3, 4, 5])).toEqual([3, 3, 3, 3]);
  expect(say('constant', [9, 1, 2])).toEqual([2, 2, 2, 2]);
});

test('leading zeros are no history, a short one gives its last value, NaN is zero', () => {
  for (const name of PREDICTORS) {
    expect(say(name, [0, 0, 0])).toEqual([0, 0, 0, 0]);
    expect(say(name, [])).toEqual([0, 0, 0, 0]);
    expect(say(name, [0, Number.NaN, 7])).toEqual([7, 7, 7, 7]);
  }
  expect(say('kalman', [3, 4, 5, 6])).toEqual([6, 6, 6, 6]);
});

test('a series that does not change goes on', () => {
  for (const name of PREDICTORS) {
    for (const value of say(name, new Array(30).fill(42))) expect(value).toBeCloseTo(42, 1);
  }
});

test('growth by shares is seen where logarithms are looked at', () => {
  const growing = Array.from({ length: 30 }, (_, i) => 10 * 1.1 ** i);
  const next = 10 * 1.1 ** 30;
  expect(Math.abs(say('seasonal', growing, true)[0]! - next)).toBeLessThan(0.05 * next);
});

test('a season is found once there are two of it', () => {
  const wave = (at: number) => 100 + 50 * Math.sin((2 * Math.PI * at) / 12);
  const said = say(
    'seasonal',
    Array.from({ length: 48 }, (_, at) => wave(at)),
  );
  said.forEach((value, i) => {
    expect(Math.abs(value - wave(48 + i))).toBeLessThan(2);
  });
});

test('whatever the history, the forecast is finite and not below zero', () => {
  const value = fc.oneof(
    fc.double({ min: 0, max: 1e9, noNaN: true }),
    fc.constantFrom(0, 1, Number.NaN, Number.POSITIVE_INFINITY, -5),
  );
  for (const name of PREDICTORS) {
    fc.assert(
      fc.property(fc.array(value, { maxLength: 24 }), fc.boolean(), (history, log) => {
        const said = say(name, history, log);
        expect(said).toHaveLength(STEPS);
        for (const each of said) expect(Number.isFinite(each) && each >= 0).toBe(true);
      }),
      { numRuns: name === 'arima' ? 15 : 100 },
    );
  }
});
