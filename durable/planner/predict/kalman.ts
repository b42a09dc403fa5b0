/**
 * Level and trend as a Kalman filter sees them through noise (semantics §8.5): state [level, trend], F = [[1, 1], [0, 1]],
 * H = [1, 0], Q = diag(1, 0.1), R = 10, P0 = 1000·I; the first value begins the level. The filter is run over the whole
 * history each time: nothing to keep, 20 operations a point.
 */

import type { Predictor } from './predictor.ts';

const LEVEL_NOISE = 1;
const TREND_NOISE = 0.1;
const MEASUREMENT_NOISE = 10;
const INITIAL_VARIANCE = 1000;

export const kalman: Predictor = {
  minimumPoints: 5,
  forecast(history, steps) {
    let level = history[0]!;
    let trend = 0;
    // Covariance: level, both, trend.
    let ll = INITIAL_VARIANCE;
    let lt = 0;
    let tt = INITIAL_VARIANCE;
    for (const value of history.slice(1)) {
      level += trend;
      ll += 2 * lt + tt + LEVEL_NOISE;
      lt += tt;
      tt += TREND_NOISE;
      const scale = ll + MEASUREMENT_NOISE;
      const levelGain = ll / scale;
      const trendGain = lt / scale;
      const surprise = value - level;
      level += levelGain * surprise;
      trend += trendGain * surprise;
      tt -= trendGain * lt;
      lt -= levelGain * lt;
      ll -= levelGain * ll;
    }
    return Array.from({ length: steps }, (_, i) => level + (i + 1) * trend);
  },
};
