/**
 * What functions and other objects may ask a Planner object (one per namespace, whose name it has). Refusals are values: an
 * exception across RPC loses its class.
 */

import type { Order } from './connectors/connector.ts';
import type { Counts, Fleet } from './fleet.ts';

export interface KeptOrder {
  order: Order;
  issuedMs: number;
  /** `failed` with `why`. */
  outcome: 'pending' | 'done' | 'failed';
  why: string;
}

export interface Completion {
  id: number;
  outcome: 'done' | 'failed' | 'superseded';
}

export interface OrderWish {
  /** The newest order that the caller has; 0: none. */
  after: number;
  waitMs: number;
  executor: string;
}

export interface Refused {
  /** One of runtime/errors.ts. */
  refused: 'not_found' | 'conflict';
  message: string;
}

export interface PlannerStatus {
  mode: 'off' | 'sla' | 'load' | 'both';
  advisory: boolean;
  connector: string;
  targets: { ttftMs: number; itlMs: number };
  /** By role; empty when off. */
  bounds: Partial<Record<string, { min: number; max: number }>>;
  gpuBudget: number | null;
  /** As it was found last; null before that. */
  fleet: Fleet | null;
  /** What there is to be; null before the first look. */
  wants: Counts | null;
  /** Why. */
  because: string[];
  /** The newest order. */
  order: (KeptOrder & { executor: string | null }) | null;
  /** What keeps it from planning; null: nothing. */
  problem: string | null;
}

export interface Woken {
  /** False: there is no planner that may act, and nothing will start. */
  waking: boolean;
  why: string;
}

export interface PlannerRpc {
  status(): Promise<PlannerStatus>;
  /** A request waits for a sleeping model: from now on there is at least one worker of each role. Idempotent. */
  wake(): Promise<Woken>;
  /** The newest order after `after`, once there is one; null when none came in time. */
  waitOrder(wish: OrderWish): Promise<KeptOrder | Refused | null>;
  /** What became of an order; `failed` says why. */
  completeOrder(
    id: number,
    outcome: { failed: string | null; executor: string },
  ): Promise<Completion | Refused>;
}
