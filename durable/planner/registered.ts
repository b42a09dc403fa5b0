/** Workers that a Router object knows, as the planner counts them. */

import { type Fleet, PLANNED_ROLES, type PlannedRole, type RoleFleet } from './fleet.ts';

const ROLES: Readonly<Partial<Record<string, PlannedRole>>> = {
  aggregated: 'worker',
  prefill: 'prefill',
  decode: 'decode',
};

interface KnownWorker {
  registration: { workerType: string };
  phase: string;
}

/** Every role is there. A worker whose line broke counts until its lease ends: most come back. */
export function registeredFleet(workers: Iterable<KnownWorker>): Fleet {
  const known = [...workers];
  const fleet: Partial<Record<PlannedRole, RoleFleet>> = {};
  for (const role of PLANNED_ROLES) {
    const those = known.filter(({ registration }) => ROLES[registration.workerType] === role);
    const draining = those.filter(({ phase }) => phase === 'draining').length;
    fleet[role] = { ready: those.length - draining, starting: 0, draining };
  }
  return fleet;
}
