/**
 * The exact Gaussian likelihood of an ARMA model with a mean, and what it forecasts: Harvey's state space form run through
 * a Kalman filter that begins in the stationary distribution; the noise variance is concentrated out.
 *
 * Cost: n·m of a few operations for n values, m = max(p, q + 1), once the filter's variance has settled, m² before.
 */

export interface Arma {
  /** Coefficients of the p last values and of the q last surprises. */
  ar: readonly number[];
  ma: readonly number[];
  mean: number;
}

export interface ArmaRun {
  /** −∞ where the filter breaks down. */
  logLikelihood: number;
  variance: number;
  /** Next values. */
  forecast: number[];
}

export function runArma({ ar, ma, mean }: Arma, series: readonly number[], steps = 0): ArmaRun {
  const m = Math.max(ar.length, ma.length + 1);
  const phi = (i: number) => ar[i] ?? 0;
  const theta = (i: number) => (i === 0 ? 1 : (ma[i - 1] ?? 0));
  let covariance = stationary(m, phi, theta);
  const state = new Float64Array(m);
  const gain = new Float64Array(m);
  let isSteady = false;
  let sumLogs = 0;
  let sumSquares = 0;
  for (const value of series) {
    const scale = covariance[0]!;
    if (!(scale > 0) || !Number.isFinite(scale)) {
      return { logLikelihood: Number.NEGATIVE_INFINITY, variance: 0, forecast: [] };
    }
    const surprise = value - mean - state[0]!;
    sumLogs += Math.log(scale);
    sumSquares += surprise ** 2 / scale;
    if (!isSteady) {
      for (let i = 0; i < m; i++) gain[i] = covariance[i * m]! / scale;
      const updated = covariance.map((entry, at) => entry - gain[Math.floor(at / m)]! * covariance[at % m]!);
      covariance = spread(updated, m, { phi, theta });
      isSteady = Math.abs(covariance[0]! - scale) < STEADY * scale;
    }
    for (let i = 0; i < m; i++) state[i]! += gain[i]! * surprise;
    advance(state, ar);
  }
  const n = series.length;
  const variance = sumSquares / n;
  const logLikelihood = -0.5 * (n * (Math.log(2 * Math.PI) + Math.log(variance) + 1) + sumLogs);
  const forecast: number[] = [];
  for (let step = 0; step < steps; step++) {
    forecast.push(mean + state[0]!);
    advance(state, ar);
  }
  return {
    logLikelihood: Number.isFinite(logLikelihood) ? logLikelihood : Number.NEGATIVE_INFINITY,
    variance,
    forecast,
  };
}

/** T·a in place: each takes the next one's value and its share of the first. */
function advance(state: Float64Array, ar: readonly number[]): void {
  const first = state[0]!;
  for (let i = 0; i < state.length; i++) state[i] = (ar[i] ?? 0) * first + (state[i + 1] ?? 0);
}

/** T·P·Tᵀ + R·Rᵀ. */
function spread(
  covariance: Float64Array,
  m: number,
  { phi, theta }: { phi: (i: number) => number; theta: (i: number) => number },
): Float64Array<ArrayBuffer> {
  const entry = (i: number, j: number) => (i < m && j < m ? covariance[i * m + j]! : 0);
  const next = new Float64Array(m * m);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < m; j++) {
      next[i * m + j] =
        phi(i) * phi(j) * entry(0, 0) +
        phi(i) * entry(0, j + 1) +
        phi(j) * entry(i + 1, 0) +
        entry(i + 1, j + 1) +
        theta(i) * theta(j);
    }
  }
  return next;
}

/** The filter's variance has settled when it changes by less than this share: from then on it is a constant. */
const STEADY = 1e-13;
const DOUBLINGS = 40;

/** P = T·P·Tᵀ + R·Rᵀ by doubling: after k rounds the sum of 2ᵏ terms of the series. */
function stationary(
  m: number,
  phi: (i: number) => number,
  theta: (i: number) => number,
): Float64Array<ArrayBuffer> {
  let transition = new Float64Array(m * m);
  let sum = new Float64Array(m * m);
  for (let i = 0; i < m; i++) {
    transition[i * m] = phi(i);
    if (i + 1 < m) transition[i * m + i + 1] = 1;
    for (let j = 0; j < m; j++) sum[i * m + j] = theta(i) * theta(j);
  }
  for (let round = 0; round < DOUBLINGS; round++) {
    const carried = product(product(transition, sum, m), transposed(transition, m), m);
    if (carried.every((entry) => Math.abs(entry) < 1e-15 * (1 + Math.abs(sum[0]!)))) break;
    sum = sum.map((entry, at) => entry + carried[at]!);
    transition = product(transition, transition, m);
  }
  return sum;
}

function product(left: Float64Array, right: Float64Array, m: number): Float64Array<ArrayBuffer> {
  const result = new Float64Array(m * m);
  for (let i = 0; i < m; i++) {
    for (let k = 0; k < m; k++) {
      const factor = left[i * m + k]!;
      if (factor !== 0) for (let j = 0; j < m; j++) result[i * m + j]! += factor * right[k * m + j]!;
    }
  }
  return result;
}

const transposed = (matrix: Float64Array, m: number): Float64Array<ArrayBuffer> =>
  Float64Array.from(matrix, (_, at) => matrix[(at % m) * m + Math.floor(at / m)]!);
