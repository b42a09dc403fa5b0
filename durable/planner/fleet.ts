/** What the planner counts: workers of a role, as they are and as they should be. */

/** `worker` computes prompts and answers; `prefill` and `decode` share the work and are planned together. */
export const PLANNED_ROLES = ['worker', 'prefill', 'decode'] as const;

export type PlannedRole = (typeof PLANNED_ROLES)[number];

/** Workers by role; roles that a fleet does not have are absent. */
export type Counts = Readonly<Partial<Record<PlannedRole, number>>>;

export interface RoleFleet {
  /** Take requests. */
  readonly ready: number;
  /** Ordered, not yet ready. */
  readonly starting: number;
  /** Take no new requests and end those they have. */
  readonly draining: number;
}

export type Fleet = Readonly<Partial<Record<PlannedRole, RoleFleet>>>;

/** What there will be when nothing more is ordered. */
export function settledCounts(fleet: Fleet): Counts {
  const counts: Partial<Record<PlannedRole, number>> = {};
  for (const role of rolesOf(fleet)) counts[role] = fleet[role]!.ready + fleet[role]!.starting;
  return counts;
}

export const rolesOf = (counts: Partial<Record<PlannedRole, unknown>>): PlannedRole[] =>
  PLANNED_ROLES.filter((role) => counts[role] !== undefined);

export const sameCounts = (left: Counts, right: Counts): boolean =>
  PLANNED_ROLES.every((role) => left[role] === right[role]);
