/**
 * A forecast by any predictor, with the rules that all of them share (semantics §8.5): NaN counts as 0, leading zeros are
 * ignored, a short history gives its last value, nothing is below 0. With `log` the predictor sees log(1 + value).
 */

import type { Predictor } from './predictor.ts';

export interface ForecastOptions {
  steps: number;
  log?: boolean;
}

/** Always `steps` finite values ≥ 0, whatever the history is. */
export function forecast(
  predictor: Predictor,
  history: readonly number[],
  { steps, log = false }: ForecastOptions,
): number[] {
  const cleaned = history.map((value) => (Number.isFinite(value) && value > 0 ? value : 0));
  const begun = cleaned.findIndex((value) => value > 0);
  if (begun < 0) return new Array<number>(steps).fill(0);
  const points = cleaned.slice(begun);
  const last = points.at(-1)!;
  if (points.length < predictor.minimumPoints) return new Array<number>(steps).fill(last);
  const said = predictor.forecast(log ? points.map(Math.log1p) : points, steps);
  return Array.from({ length: steps }, (_, i) => {
    const value = log ? Math.expm1(said[i]!) : said[i]!;
    return Number.isFinite(value) ? Math.max(0, value) : last;
  });
}
