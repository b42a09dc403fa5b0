/**
 * How decisions reach workers. The planner orders counts; a connector sees that they come about, or hands them to somebody
 * who does. Any call may be slow, throw, do half of what it says or lie: the planner gives each a limited time, believes no
 * figure without a check, and stops waiting for an order after `actionLimitMs`. `test/contract/connector.contract.ts` is
 * what every connector must keep.
 */

import type { Host } from '../../platform/host.ts';
import type { Settings } from '../../runtime/config.ts';
import type { Counts, Fleet } from '../fleet.ts';
import type { Outbox } from './outbox.ts';

export interface Order {
  /** Decision number, rising. */
  readonly id: number;
  readonly counts: Counts;
}

/** `none`: nothing was ever ordered. `done` and `failed` stay until the next order. */
export type Progress =
  | { kind: 'none' }
  | { kind: 'pending' }
  | { kind: 'done' }
  | { kind: 'failed'; why: string };

export interface Connector {
  /** What there is; `registered` are the workers that the Router object knows, by role (ready, draining). */
  fleet(registered: Fleet): Promise<Fleet>;
  /** Asks for these counts; resolves when taken over, not when done. A later order replaces an earlier one. Idempotent by id. */
  order(order: Order): Promise<void>;
  /** Of the newest order. */
  progress(): Promise<Progress>;
}

/** What a connector is made of. */
export interface ConnectorParts {
  namespace: string;
  settings: Settings;
  /** Bindings of the Worker, and its variables. */
  env: Readonly<Record<string, unknown>>;
  /** Orders that somebody outside fetches and says done. Kept on the object's disk. */
  outbox: Outbox;
  host: Host;
}
