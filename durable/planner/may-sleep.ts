/** Whether models of this deployment go to sleep: the planner may stop the last worker that answers. */

import type { Settings } from '../runtime/config.ts';
import { StatorError } from '../runtime/errors.ts';
import { plannerOf } from './planner-settings.ts';
import { mayGoToZero } from './sleep.ts';

export function maySleep(settings: Settings): boolean {
  try {
    const config = plannerOf(settings);
    return config !== null && !config.advisory && mayGoToZero(config);
  } catch (thrown) {
    // Settings that no planner takes: it says so itself, and stops nobody.
    if (thrown instanceof StatorError) return false;
    throw thrown;
  }
}
