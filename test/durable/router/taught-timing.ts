/** A rank's timing that has seen enough of an engine to have forgotten what it believed at first. */

import { EngineTiming } from '../../../durable/router/engine-timing.ts';

export function taughtTiming(engine: { passMs: number; tokenMs: number; stepMs?: number }): EngineTiming {
  const { passMs, tokenMs, stepMs } = engine;
  const timing = new EngineTiming();
  for (let i = 0; i < 600; i++) {
    const tokens = 200 + 500 * (i % 10);
    timing.learnPrefill(tokens, passMs + tokenMs * tokens);
    if (stepMs !== undefined) timing.learnDecode(100, 100 * stepMs, 0, 1_000);
  }
  return timing;
}
