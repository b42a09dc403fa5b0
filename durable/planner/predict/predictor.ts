/** The seam: what comes next, from what was. One file for each way of telling, named in `registry.ts`. */

export interface Predictor {
  /** With fewer points than this the last value is the forecast. */
  readonly minimumPoints: number;
  /**
   * The next `steps` values, one an interval. `history` has at least `minimumPoints` values, oldest first, all finite and ≥ 0;
   * what comes back may be anything: `forecast.ts` cleans it.
   */
  forecast(history: readonly number[], steps: number): number[];
}
