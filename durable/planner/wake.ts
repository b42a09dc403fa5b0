/**
 * Wake: a request waits for a model whose workers all sleep. Outside the looks' rhythm there is to be one worker of each role at
 * once. It counts as a turn upwards, so it is not taken back within the interval, and as wanted for the start-up time.
 * Pure, and replayed like a look.
 */

import { type Counts, type Fleet, type PlannedRole, rolesOf, sameCounts, settledCounts } from './fleet.ts';
import { type Decision, type PlannerInput, rememberAction } from './planner.ts';
import type { PlannerConfig } from './planner-config.ts';
import type { PlannerState } from './planner-state.ts';

const WHY = 'a request waits';

export type WakeInput = Pick<PlannerInput, 'nowMs' | 'fleet'>;

/** Null: nothing is to be done, all roles are there or on their way. */
export function wake(
  before: PlannerState,
  { nowMs, fleet }: WakeInput,
  config: PlannerConfig,
): { state: PlannerState; decision: Decision } | null {
  const current = settledCounts(fleet);
  const counts = withoutGaps(current, fleet, config);
  if (counts === null || config.advisory) return null;
  const idle = { ...before.idle, looks: 0 };
  const state = { ...before, idle, recent: [...before.recent, counts] };
  rememberAction(state, { counts, current });
  return {
    state,
    decision: {
      look: state.looks,
      atMs: nowMs,
      observation: null,
      demand: null,
      proposed: counts,
      counts,
      acts: true,
      because: [WHY],
      restrained: [],
    },
  };
}

/** Null when there is a worker of each role. A role beyond its most gives what the least of another may need of the budget. */
function withoutGaps(current: Counts, fleet: Fleet, { roles, gpuBudget }: PlannerConfig): Counts | null {
  const counts: Partial<Record<PlannedRole, number>> = {};
  for (const role of rolesOf(roles)) {
    const { min, max } = roles[role]!;
    counts[role] = Math.min(Math.max(current[role] ?? 0, min, 1), max);
  }
  const gpus = () =>
    rolesOf(counts).reduce((sum, role) => sum + counts[role]! * roles[role]!.gpusPerWorker, 0);
  while (gpuBudget !== undefined && gpus() > gpuBudget) {
    const giver = rolesOf(counts).reduce((most, role) => (counts[role]! > counts[most]! ? role : most));
    counts[giver]!--;
  }
  const isAwake = rolesOf(roles).every((role) => (current[role] ?? 0) >= 1 && fleet[role] !== undefined);
  return isAwake || sameCounts(counts, current) ? null : counts;
}
