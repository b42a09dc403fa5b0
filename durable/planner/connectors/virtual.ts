/**
 * Connector `virtual`: orders lie in the outbox until somebody outside has executed them (`GET …/orders`, `POST …/orders/{id}`,
 * `planner.proto`). What there is, is what has registered; what a pending order adds to it counts as starting.
 */

import { type Fleet, type PlannedRole, type RoleFleet, rolesOf } from '../fleet.ts';
import type { Connector, ConnectorParts } from './connector.ts';

export function virtualConnector({ outbox }: Pick<ConnectorParts, 'outbox'>): Connector {
  return {
    async fleet(registered) {
      const kept = outbox.newest;
      if (kept === null || kept.outcome !== 'pending') return registered;
      const fleet: Partial<Record<PlannedRole, RoleFleet>> = { ...registered };
      for (const role of rolesOf(kept.order.counts)) {
        const { ready, draining } = registered[role] ?? { ready: 0, draining: 0 };
        fleet[role] = { ready, draining, starting: Math.max(0, kept.order.counts[role]! - ready) };
      }
      return fleet satisfies Fleet;
    },
    async order(order) {
      outbox.put(order);
    },
    async progress() {
      return outbox.progress;
    },
  };
}
