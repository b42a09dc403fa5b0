/**
 * ARIMA with its order chosen: differenced until the KPSS test calls it level, then the ARMA model with the lowest AICc of
 * all with p ≤ 2 and q ≤ 2, fitted by exact likelihood (`arma-fit.ts`). A random walk as the best guess of the plain values
 * often hides growth by shares: then their logarithms are tried (semantics §8.5).
 *
 * Cost: 0.15 to 0.5 s for 60 points, all orders together (a busy core): for intervals of a minute and more, and not in an
 * object that routes.
 */

import { LIMITS } from '../../runtime/limits.ts';
import { runArma } from './arma.ts';
import { type FittedArma, fitArma } from './arma-fit.ts';
import type { Predictor } from './predictor.ts';
import { isStationary } from './stationarity.ts';

const MAX_P = 2;
const MAX_D = 2;
const MAX_Q = 2;

interface Chosen {
  d: number;
  model: FittedArma;
  /** The series differenced 0 to `d` times. */
  levels: number[][];
}

export const arima: Predictor = {
  minimumPoints: 8,
  forecast(history, steps) {
    const series = history.slice(-LIMITS.plannerArimaPoints);
    if (series.every((value) => value === series[0])) return new Array<number>(steps).fill(series[0]!);
    const plain = chooseModel(series);
    if (!isRandomWalk(plain)) return extend(plain, steps);
    const logs = chooseModel(series.map(Math.log1p));
    return isRandomWalk(logs) ? extend(plain, steps) : extend(logs, steps).map(Math.expm1);
  },
};

const isRandomWalk = ({ d, model }: Chosen): boolean =>
  d > 0 && model.ar.length === 0 && model.ma.length === 0;

/** Order and coefficients for a series that is not constant. */
export function chooseModel(series: readonly number[]): Chosen {
  const levels = [[...series]];
  while (levels.length <= MAX_D && !isStationary(levels.at(-1)!)) {
    const next = differences(levels.at(-1)!);
    if (next.every((value) => value === next[0])) break;
    levels.push(next);
  }
  const d = levels.length - 1;
  const last = levels[d]!;
  let best: { model: FittedArma; score: number } | null = null;
  for (let p = 0; p <= MAX_P; p++) {
    for (let q = 0; q <= MAX_Q; q++) {
      const model = fitArma(last, { p, q, hasMean: d === 0 });
      const score = correctedAic(model.logLikelihood, last.length, p + q + (d === 0 ? 2 : 1));
      if (best === null || score < best.score) best = { model, score };
    }
  }
  return { d, model: best!.model, levels };
}

/** Akaike's criterion for short series; infinite where there are too few values for the parameters. */
function correctedAic(logLikelihood: number, values: number, parameters: number): number {
  if (values - parameters - 1 <= 0) return Number.POSITIVE_INFINITY;
  return -2 * logLikelihood + (2 * parameters * values) / (values - parameters - 1);
}

function extend({ d, model, levels }: Chosen, steps: number): number[] {
  let values = runArma(model, levels[d]!, steps).forecast;
  for (let level = d - 1; level >= 0; level--) {
    let last = levels[level]!.at(-1)!;
    values = values.map((change) => (last += change));
  }
  return values;
}

const differences = (series: readonly number[]): number[] =>
  series.slice(1).map((value, at) => value - series[at]!);
