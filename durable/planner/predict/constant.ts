/** It stays as it is. */

import type { Predictor } from './predictor.ts';

export const constant: Predictor = {
  minimumPoints: 1,
  forecast: (history, steps) => new Array<number>(steps).fill(history.at(-1)!),
};
