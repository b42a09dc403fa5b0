/** It stays as it was on average of late. */

import type { Predictor } from './predictor.ts';

export function movingAverage(points: number): Predictor {
  return {
    minimumPoints: 1,
    forecast(history, steps) {
      const recent = history.slice(-points);
      const mean = recent.reduce((sum, value) => sum + value, 0) / recent.length;
      return new Array<number>(steps).fill(mean);
    },
  };
}
