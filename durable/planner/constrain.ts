/**
 * Constrain: from what is proposed to what may be done now. In order:
 *  1. nothing while an action is under way, unless it has been for longer than `actionLimitMs`;
 *  2. fewer workers only if every proposal of the start-up time (and one interval) says so: what is given away now is not back
 *     before that;
 *  3. a change of direction at most once an interval, counted in looks, which no clock can shorten;
 *  4. at most `maxStep` at once;
 *  5. the GPU budget: roles shrink in proportion, none below its least;
 *  6. min and max, which beat all of the above.
 */

import { type Counts, type Fleet, type PlannedRole, rolesOf, settledCounts } from './fleet.ts';
import type { PlannerConfig } from './planner-config.ts';

export const DIRECTIONS = ['up', 'down'] as const;

export type Direction = (typeof DIRECTIONS)[number];

export interface Restraints {
  /** How long the last action has been under way; null when it has ended. */
  actionAgeMs: number | null;
  /** By role: the last direction, and looks since it became that. */
  turned: Partial<Record<PlannedRole, { direction: Direction; looksAgo: number }>>;
  /** Looks that make an interval. */
  looksPerInterval: number;
  /** Proposals of the time that a new worker takes to be ready, newest last, this one among them. */
  recent: readonly Counts[];
}

export interface Constrained {
  counts: Counts;
  /** What held the proposal back, in words; empty: nothing. */
  restrained: string[];
}

export function constrain(
  proposed: Counts,
  fleet: Fleet,
  { config, restraints }: { config: PlannerConfig; restraints: Restraints },
): Constrained {
  const current = settledCounts(fleet);
  const restrained: string[] = [];
  const { actionAgeMs } = restraints;
  if (actionAgeMs !== null && actionAgeMs < config.actionLimitMs) {
    restrained.push('the last action is under way');
    return { counts: bounded(current, current, config, restrained), restrained };
  }
  // First as well as last: what a role may not go below is part of what the budget has to share out.
  const wanted = bounded(proposed, current, config, restrained);
  const counts: Partial<Record<PlannedRole, number>> = {};
  for (const role of rolesOf(config.roles)) {
    counts[role] = restrainRole(
      role,
      { to: wanted[role]!, from: current[role] ?? 0 },
      { config, restraints, restrained },
    );
  }
  let fitted = withinBudget(counts, config, restrained);
  // What the budget takes from one role for another would turn it back: then nobody gets anything.
  if (
    rolesOf(fitted).some((role) =>
      turnsTooSoon(role, { to: fitted[role]!, from: current[role] ?? 0 }, restraints),
    )
  ) {
    restrained.push('the budget would turn a role within this interval');
    fitted = current;
  }
  // Again the budget: what was kept as it is may be beyond it, where others started workers.
  const within = withinBudget(bounded(fitted, current, config, restrained), config, restrained);
  return { counts: within, restrained };
}

function turnsTooSoon(
  role: PlannedRole,
  { to, from }: { to: number; from: number },
  restraints: Restraints,
): boolean {
  const turned = restraints.turned[role];
  if (to === from || turned === undefined || turned.looksAgo >= restraints.looksPerInterval) return false;
  return turned.direction !== directionOf({ to, from });
}

export const directionOf = ({ to, from }: { to: number; from: number }): Direction =>
  to > from ? 'up' : 'down';

function restrainRole(
  role: PlannedRole,
  { to, from }: { to: number; from: number },
  { config, restraints, restrained }: { config: PlannerConfig; restraints: Restraints; restrained: string[] },
): number {
  let target = to;
  if (target < from) {
    const highest = restraints.recent.reduce((most, counts) => Math.max(most, counts[role] ?? 0), target);
    if (highest > target) restrained.push(`${role}: ${highest} were wanted a moment ago`);
    target = Math.min(from, highest);
  }
  if (turnsTooSoon(role, { to: target, from }, restraints)) {
    restrained.push(`${role}: it turned within this interval`);
    target = from;
  }
  const step = Math.min(Math.max(target - from, -config.maxStep), config.maxStep);
  if (from + step !== target) restrained.push(`${role}: at most ${config.maxStep} at once`);
  return from + step;
}

function withinBudget(counts: Counts, { roles, gpuBudget }: PlannerConfig, restrained: string[]): Counts {
  if (gpuBudget === undefined) return counts;
  const names = rolesOf(counts);
  const gpus = (of: Counts) => names.reduce((sum, role) => sum + of[role]! * roles[role]!.gpusPerWorker, 0);
  const total = gpus(counts);
  if (total <= gpuBudget) return counts;
  restrained.push(`a budget of ${gpuBudget} GPUs`);
  const fitted: Partial<Record<PlannedRole, number>> = {};
  for (const role of names) {
    fitted[role] = Math.max(roles[role]!.min, Math.round((counts[role]! * gpuBudget) / total));
  }
  // Rounding and minima may still be too many: the role with the most above its minimum gives one at a time.
  while (gpus(fitted) > gpuBudget) {
    const above = (role: PlannedRole) => fitted[role]! - roles[role]!.min;
    const giver = names.reduce((most, role) => (above(role) > above(most) ? role : most));
    fitted[giver]!--;
  }
  return fitted;
}

function bounded(counts: Counts, current: Counts, { roles }: PlannerConfig, restrained: string[]): Counts {
  const result: Partial<Record<PlannedRole, number>> = {};
  for (const role of rolesOf(roles)) {
    const { min, max } = roles[role]!;
    const wanted = counts[role] ?? current[role] ?? 0;
    result[role] = Math.min(Math.max(wanted, min), max);
    if (result[role] !== wanted) restrained.push(`${role}: from ${min} to ${max}`);
  }
  return result;
}
