/**
 * Predict: the demand that a worker ordered now will meet. Rates and lengths are forecast each on their own; of the rates
 * until a new worker is ready and one interval on, the highest counts. Who waits already is demand of the next interval.
 */

import type { PlannerConfig } from '../planner-config.ts';
import type { PlannerState } from '../planner-state.ts';
import type { Demand } from '../propose/proposal.ts';
import { forecast } from './forecast.ts';
import { predictorOf } from './registry.ts';

export function predictDemand(
  { requests, inputTokens, outputTokens, waiting }: PlannerState,
  config: PlannerConfig,
): Demand {
  const { intervalMs, startupMs, predictor: name, predictLog: log } = config;
  const predictor = predictorOf(name, config);
  const steps = 1 + Math.ceil(startupMs / intervalMs);
  const next = (history: readonly number[]) => forecast(predictor, history, { steps, log });
  return {
    requestsPerMs: (Math.max(...next(requests)) + waiting) / intervalMs,
    inputTokens: next(inputTokens).at(-1)!,
    outputTokens: next(outputTokens).at(-1)!,
  };
}
