/**
 * Whether a series moves about one level: the KPSS test (Kwiatkowski and others 1992) with Bartlett's window, as Hyndman's
 * automatic ARIMA uses it to choose how often to difference.
 */

/** Above this, a level series would look so one time in twenty. */
const CRITICAL = 0.463;

export const isStationary = (series: readonly number[]): boolean => kpss(series) <= CRITICAL;

/** The statistic; 0 for a series that does not vary. */
export function kpss(
  series: readonly number[],
  lags = Math.ceil(12 * (series.length / 100) ** 0.25),
): number {
  const n = series.length;
  const mean = series.reduce((sum, value) => sum + value, 0) / n;
  const rests = series.map((value) => value - mean);
  let total = 0;
  let sums = 0;
  for (const rest of rests) {
    total += rest;
    sums += total ** 2;
  }
  let longRun = rests.reduce((sum, rest) => sum + rest ** 2, 0);
  for (let lag = 1; lag <= Math.min(lags, n - 1); lag++) {
    let product = 0;
    for (let at = lag; at < n; at++) product += rests[at]! * rests[at - lag]!;
    longRun += 2 * product * (1 - lag / (lags + 1));
  }
  return longRun <= 0 ? 0 : sums / n ** 2 / (longRun / n);
}
