/** Whether models of this deployment go to sleep: the planner may stop the last worker that answers. */

import type { Settings } from '../runtime/config.ts';
import { plannerOf } from './planner-settings.ts';
import { mayGoToZero } from './sleep.ts';

export function maySleep(settings: Settings): boolean {
  const config = plannerOf(settings);
  if (config === null || config.advisory) return false;
  return mayGoToZero(config);
}
