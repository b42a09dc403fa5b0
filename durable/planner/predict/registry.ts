/** The predictors by name. */

import { arima } from './arima.ts';
import { constant } from './constant.ts';
import { kalman } from './kalman.ts';
import { movingAverage } from './moving-average.ts';
import type { Predictor } from './predictor.ts';
import { seasonal } from './seasonal.ts';

export const PREDICTORS = ['constant', 'moving-average', 'arima', 'kalman', 'seasonal'] as const;

export type PredictorName = (typeof PREDICTORS)[number];

export interface PredictorOptions {
  /** Intervals that the moving average looks back on, and of a season. */
  averagedPoints: number;
  seasonPoints: number;
}

export function predictorOf(
  name: PredictorName,
  { averagedPoints, seasonPoints }: PredictorOptions,
): Predictor {
  switch (name) {
    case 'constant':
      return constant;
    case 'moving-average':
      return movingAverage(averagedPoints);
    case 'arima':
      return arima;
    case 'kalman':
      return kalman;
    case 'seasonal':
      return seasonal({ period: seasonPoints });
  }
}
