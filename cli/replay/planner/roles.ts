/** The pools of a plan by the planner's names of roles, and plans with so many workers of each. */

import { type Counts, type PlannedRole, rolesOf } from '../../../durable/planner/fleet.ts';
import type { Plan, PoolPlan } from '../plan.ts';

/** In the order of the pools. */
export const plannedRoles = ({ pools }: Plan): PlannedRole[] => pools.map(({ role }) => plannedRole(role));

const plannedRole = (role: PoolPlan['role']): PlannedRole => (role === 'aggregated' ? 'worker' : role);

export function withWorkers(plan: Plan, counts: Counts): Plan {
  const pools = plan.pools.map((pool) => ({
    ...pool,
    workers: counts[plannedRole(pool.role)] ?? pool.workers,
  }));
  return { ...plan, pools };
}

/** The same of every role. */
export function eachRole<T>(
  roles: readonly PlannedRole[],
  value: (role: PlannedRole, at: number) => T,
): Partial<Record<PlannedRole, T>> {
  const result: Partial<Record<PlannedRole, T>> = {};
  roles.forEach((role, at) => {
    result[role] = value(role, at);
  });
  return result;
}

/** As reports have it: a number where all workers do the same. */
export const reported = <T>(byRole: Partial<Record<PlannedRole, T>>): T | Partial<Record<PlannedRole, T>> =>
  rolesOf(byRole).length === 1 && byRole.worker !== undefined ? byRole.worker : byRole;
