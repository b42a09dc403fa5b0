/**
 * What functions and other objects may ask a Planner object (one per namespace, whose name it has). Refusals are values: an
 * exception across RPC loses its class.
 */

import type { Order } from './connectors/connector.ts';
import type { Outcome } from './execute.ts';
import type { Counts, Fleet } from './fleet.ts';
import type { Decision, PlannerInput } from './planner.ts';
import type { PlannerConfig } from './planner-config.ts';
import type { PlannerState } from './planner-state.ts';
import type { Demand } from './propose/proposal.ts';

export type { Counts } from './fleet.ts';
export type { Observation } from './observe.ts';
export type { Demand } from './propose/proposal.ts';

export interface KeptOrder {
  order: Order;
  issuedMs: number;
  /** `failed` with `why`. `given_up`: the planner waits for it no more. */
  outcome: 'pending' | 'done' | 'failed' | 'given_up';
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

export interface OrderStatus {
  order: Order;
  issuedMs: number;
  outcome: Outcome;
  why: string;
  /** Who fetched it, or asked of late; null: nobody, or the connector needs nobody. */
  executor: string | null;
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
  /** What is to come; null before the first one that was measured. */
  demand: Demand | null;
  /** Of the newest decision; null: none. */
  decision: number | null;
  /** Looks that have been taken. */
  looks: number;
  /** Why. */
  because: string[];
  /** The newest order. */
  order: OrderStatus | null;
  /** What keeps it from planning; null: nothing. */
  problem: string | null;
}

/** A decision as it is kept: enough to be made again from the one before. */
export interface DecisionRecord {
  /** Rising by one; also the number of its order. */
  id: number;
  kind: 'look' | 'wake';
  input: PlannerInput;
  decision: Decision;
  /** `kept`: nothing was to be done. `advised`: nobody was told. Otherwise what became of the order. */
  outcome: 'kept' | 'advised' | Outcome;
  why: string;
}

/** From here on decisions can be made again: the state before, and what they were made with. */
export interface LogStart {
  state: PlannerState;
  config: PlannerConfig;
  /** Number of the profile. */
  profile: number;
}

export interface DecisionQuery {
  /** The first ones after this one; absent: the last ones. */
  after?: number;
  /** The last ones before this one. */
  before?: number;
  limit: number;
  /** With what is needed to make them again. */
  replay?: boolean;
}

export interface DecisionPage {
  /** In rising order. */
  decisions: DecisionRecord[];
  /** By id of the decision; only with `replay`. */
  starts: Record<number, LogStart>;
  profiles: Record<number, unknown>;
}

export interface Woken {
  /** False: there is no planner that may act, and nothing will start. */
  waking: boolean;
  why: string;
}

export interface PlannerRpc {
  status(): Promise<PlannerStatus>;
  decisions(query: DecisionQuery): Promise<DecisionPage>;
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
