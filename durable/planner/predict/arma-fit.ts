/**
 * The ARMA model of given order that makes a series most likely. Searched over partial autocorrelations, whose every value
 * below 1 is a stationary and invertible model (Jones 1980), with Nelder and Mead's simplex.
 */

import { type Arma, runArma } from './arma.ts';
import { minimise } from './simplex.ts';

export interface FittedArma extends Arma {
  logLikelihood: number;
}

export interface Order {
  p: number;
  q: number;
  /** False: the mean is 0, as of differences. */
  hasMean: boolean;
}

export function fitArma(series: readonly number[], { p, q, hasMean }: Order): FittedArma {
  const mean = series.reduce((sum, value) => sum + value, 0) / series.length;
  const deviation = Math.sqrt(series.reduce((sum, value) => sum + (value - mean) ** 2, 0) / series.length);
  const scale = deviation > 0 ? deviation : 1;
  const model = (at: readonly number[]): Arma => ({
    ar: coefficients(at.slice(0, p)),
    // Invertible where the same polynomial with the signs turned is stationary.
    ma: coefficients(at.slice(p, p + q)).map((value) => -value),
    mean: hasMean ? mean + scale * at[p + q]! : 0,
  });
  const free = p + q + (hasMean ? 1 : 0);
  const cost = (at: readonly number[]) => -runArma(model(at), series).logLikelihood;
  const best = free === 0 ? [] : minimise(cost, new Array<number>(free).fill(0.01));
  const found = model(best);
  return { ...found, logLikelihood: runArma(found, series).logLikelihood };
}

/** Durbin and Levinson's recursion from partial autocorrelations, each squeezed into (−1, 1). */
function coefficients(free: readonly number[]): number[] {
  let made: number[] = [];
  for (const value of free) {
    const partial = value / Math.sqrt(1 + value ** 2);
    made = [...made.map((entry, i) => entry - partial * made[made.length - 1 - i]!), partial];
  }
  return made;
}
