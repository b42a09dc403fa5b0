/**
 * Trend and season in the manner of Prophet (Taylor and Letham 2018): a line that may bend at some points, plus waves of a
 * known period, fitted at once. Its priors on bends and waves are normal here instead of Laplace's, so that the most likely
 * parameters are the solution of one linear system (ridge regression) and need no sampler.
 *
 * Without two whole periods of history there is no season in it yet. Cost: n·k² for k ≈ 25 columns.
 */

import { LIMITS } from '../../runtime/limits.ts';
import type { Predictor } from './predictor.ts';
import { ridge } from './ridge.ts';

export interface SeasonalOptions {
  /** Points of a season. */
  period: number;
  /** Waves: the period, its half, its third and so on. */
  waves?: number;
}

const BENDS = 10;
/** Bends lie in this first part of the history: the end has too little after it to tell a bend from noise. */
const BENDING_SHARE = 0.8;
/** Prior standard deviations, of values scaled to at most 1. */
const BEND_PRIOR = 0.05;
const WAVE_PRIOR = 10;
const LINE_PRIOR = 5;
const NOISE = 0.1;

export function seasonal({ period, waves = 3 }: SeasonalOptions): Predictor {
  return {
    minimumPoints: 8,
    forecast(history, steps) {
      const series = history.slice(-LIMITS.plannerHistoryPoints);
      const n = series.length;
      const used = n >= 2 * period ? Math.min(waves, Math.floor((period - 1) / 2)) : 0;
      const bends = Math.min(BENDS, Math.floor(n / 4));
      const places = Array.from({ length: bends }, (_, i) => (BENDING_SHARE * (i + 1)) / (bends + 1));
      const row = (at: number): number[] => {
        const t = at / (n - 1);
        const columns = [1, t, ...places.map((place) => Math.max(0, t - place))];
        for (let wave = 1; wave <= used; wave++) {
          const angle = (2 * Math.PI * wave * at) / period;
          columns.push(Math.sin(angle), Math.cos(angle));
        }
        return columns;
      };
      const scale = Math.max(...series) || 1;
      const priors = [
        LINE_PRIOR,
        LINE_PRIOR,
        ...places.map(() => BEND_PRIOR),
        ...new Array(2 * used).fill(WAVE_PRIOR),
      ];
      const weights = ridge({
        rows: series.map((_, at) => row(at)),
        values: series.map((value) => value / scale),
        penalties: priors.map((prior: number) => (NOISE / prior) ** 2),
      });
      return Array.from({ length: steps }, (_, i) =>
        row(n + i).reduce((sum, column, at) => sum + scale * column * weights[at]!, 0),
      );
    },
  };
}
