/**
 * Who is there, beyond one process: keys with values that live as long as the process that put them, and changes to
 * watch. One interface, one file for each backend in `backends/`, one contract suite (test/contract/discovery.contract.ts).
 *
 * Keys are those of NVIDIA Dynamo (durable/runtime/instance.ts): `v1/instances/<namespace>/<component>/<endpoint>/<id>`. A
 * prefix is a plain beginning of a key. Values are JSON as text.
 *
 * What every backend promises:
 * - What a process has put is kept alive and, after any loss (an ended lease, a backend that restarted empty), put again by
 *   itself, until `delete` or `close`. It never ends the process.
 * - A watcher is told the difference between what it was told and what is: nothing twice, a changed value as `added`
 *   again, also across restarts of the backend. While the backend does not answer, nothing changes: an outage of discovery
 *   is no outage of the workers.
 * - What a dead process had put is gone after its lease.
 */

import type { Clock } from '../../durable/runtime/clock.ts';
import type { Logger } from '../../durable/runtime/log.ts';
import type { Timers } from '../timers.ts';
import type { FleetTls } from '../tls/fleet-tls.ts';

export interface DiscoveryEntry {
  key: string;
  value: string;
}

export type DiscoveryChange =
  | { kind: 'added'; key: string; value: string }
  | { kind: 'removed'; key: string };

export interface DiscoveryWatch {
  /** Resolves when the list there was at the beginning has been told. Waits for a backend that does not answer yet. */
  readonly synced: Promise<void>;
  close(): void;
}

export interface Discovery {
  /**
   * Puts a value under this process's lease; an earlier one of this key is replaced. Resolves when others can see it. Rejects
   * with StatorError when the backend refuses it, or does not answer in time; in the latter case it goes on trying.
   */
  put(key: string, value: string): Promise<void>;
  /** Takes a key of this process back. Resolves when others can see that. Unknown keys are none of its business. */
  delete(key: string): Promise<void>;
  /** In the order of the keys. Rejects with `worker_unavailable` when the backend does not answer. */
  list(prefix: string): Promise<DiscoveryEntry[]>;
  /** Everything under the prefix as `added`, then what changes. Never throws; a backend that is away is waited for. */
  watch(prefix: string, changed: (change: DiscoveryChange) => void): DiscoveryWatch;
  /** Takes back what this process has put, as far as the backend answers, and ends its watches. */
  close(): Promise<void>;
}

export interface DiscoveryOptions {
  /** How long a silent process counts as alive. */
  leaseMs: number;
  /** What object and other protected backends ask for. */
  fleetToken: string;
  tls: FleetTls | null;
  clock: Clock;
  timers: Timers;
  /** Spreads the retries of a fleet. */
  random: () => number;
  log: Logger;
}

/** A backend by name; `location` is what stands behind the colon of `--discovery kind:location`. */
export interface DiscoveryKind {
  /** What `location` has to be, for an error message. */
  readonly wants: string;
  /** Throws `invalid_request` for a location that cannot be one. Whether anybody answers there is seen later. */
  open(location: string, options: DiscoveryOptions): Discovery;
}
