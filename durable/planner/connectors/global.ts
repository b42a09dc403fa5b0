/**
 * Connector `global`: before an order goes on to the connector behind it, the global planner is asked for the GPUs, and what
 * it does not grant is not ordered. The planner sees the smaller fleet at its next look and asks again.
 *
 * Every look renews the lease. Where a grant has become smaller than the fleet, what is beyond it counts as draining: so the
 * planner orders anew, and that order is cut to the grant. A global planner that does not answer leaves the fleet as it is.
 */

import type { Claim, ClaimedRole, GlobalPlannerRpc, Grant } from '../../global-planner/rpc.ts';
import { GLOBAL_PLANNER_NAME } from '../../global-planner/rpc.ts';
import { StatorError } from '../../runtime/errors.ts';
import { LIMITS } from '../../runtime/limits.ts';
import {
  type Counts,
  type Fleet,
  type PlannedRole,
  type RoleFleet,
  rolesOf,
  settledCounts,
} from '../fleet.ts';
import type { PlannerConfig } from '../planner-config.ts';
import type { Connector, Order, Progress } from './connector.ts';

export interface GlobalParts {
  namespace: string;
  config: Pick<PlannerConfig, 'roles' | 'intervalMs'>;
  /** Executes what was granted. */
  behind: Connector;
  ask(claim: Claim): Promise<ReturnType<GlobalPlannerRpc['ask']>>;
}

/** The part of a binding that is used here. */
export interface GlobalPlannerBinding {
  idFromName(name: string): unknown;
  get(id: unknown): { ask(claim: Claim): Promise<ReturnType<GlobalPlannerRpc['ask']>> };
}

export const askGlobalPlanner =
  (binding: GlobalPlannerBinding): GlobalParts['ask'] =>
  (claim) =>
    binding.get(binding.idFromName(GLOBAL_PLANNER_NAME)).ask(claim);

export function globalConnector({ namespace, config, behind, ask }: GlobalParts): Connector {
  /** What the planner wanted last; null: it has ordered nothing in this life of the object. */
  let wanted: Counts | null = null;
  /** The newest fleet that was seen. */
  let seen: Fleet = {};

  const claim = (counts: Counts): Claim => ({
    namespace,
    roles: rolesOf(config.roles).map((role): ClaimedRole => {
      const { min, gpusPerWorker } = config.roles[role]!;
      return { role, min, gpusPerWorker, wanted: Math.max(counts[role] ?? 0, min) };
    }),
    running: held(seen),
    leaseMs: Math.max(LIMITS.grantLeaseMs, LIMITS.grantLeaseLooks * config.intervalMs),
    intervalMs: config.intervalMs,
  });

  const granted = async (counts: Counts): Promise<Grant> => {
    const answer = await ask(claim(counts));
    if (!('refused' in answer)) return answer;
    throw new StatorError('permission_denied', `The global planner refused: ${answer.refused}`);
  };

  return {
    async fleet(registered) {
      seen = await behind.fleet(registered);
      try {
        const { counts } = await granted(wanted ?? settledCounts(seen));
        return leavingBeyond(seen, counts);
      } catch {
        // The next order says what is wrong.
        return seen;
      }
    },
    async order(order: Order) {
      wanted = order.counts;
      const { counts } = await granted(order.counts);
      await behind.order({ id: order.id, counts: least(order.counts, counts) });
    },
    progress: (): Promise<Progress> => behind.progress(),
  };
}

/** Workers with GPUs. */
function held(fleet: Fleet): Counts {
  const counts: Partial<Record<PlannedRole, number>> = {};
  for (const role of rolesOf(fleet)) {
    const { ready, starting, draining } = fleet[role]!;
    counts[role] = ready + starting + draining;
  }
  return counts;
}

function least(left: Counts, right: Counts): Counts {
  const counts: Partial<Record<PlannedRole, number>> = {};
  for (const role of rolesOf(left)) counts[role] = Math.min(left[role]!, right[role] ?? 0);
  return counts;
}

/** Those that are not ready yet leave first. */
function leavingBeyond(fleet: Fleet, granted: Counts): Fleet {
  const shown: Partial<Record<PlannedRole, RoleFleet>> = {};
  for (const role of rolesOf(fleet)) {
    const { ready, starting, draining } = fleet[role]!;
    const beyond = Math.max(0, ready + starting - (granted[role] ?? 0));
    const fewerStarting = Math.min(beyond, starting);
    shown[role] = {
      ready: ready - (beyond - fewerStarting),
      starting: starting - fewerStarting,
      draining: draining + beyond,
    };
  }
  return shown;
}
