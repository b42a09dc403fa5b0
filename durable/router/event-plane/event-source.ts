/**
 * Where a Router object hears of KV events and load besides the fleet socket, which stays registration, lease and recovery.
 * A kind of event plane on the platform's side is one file and one line in the registry.
 */

import type { ConnectionOptions, NatsConnection } from '@nats-io/nats-core';
import type { Settings } from '../../runtime/config.ts';
import type { ActiveLoad } from '../../runtime/event-plane/active-load.ts';
import type { RouterEvent } from '../../runtime/event-plane/router-event.ts';
import type { Logger } from '../../runtime/log.ts';
import type { PositionDisk } from './position-disk.ts';

/** What became of messages; labels of a metric. */
export type PlaneNote =
  | 'connected'
  | 'disconnected'
  | 'refused'
  | 'error'
  | 'applied'
  | 'unknown_worker'
  | 'invalid'
  | 'lost'
  | 'duplicate'
  | 'out_of_order'
  | 'replayed'
  | 'truncated';

/** Where it tells what came. False: of a worker that is not here. */
export interface EventSink {
  event(event: RouterEvent): boolean;
  load(load: ActiveLoad): boolean;
  note(what: PlaneNote, count?: number): void;
  /** A kept stream is being read: while it is, missing events may yet come. */
  behind(isBehind: boolean): void;
  /** Snapshots are being read: events would only wait. */
  restores(): boolean;
}

export interface EventSourceOptions {
  settings: Settings;
  namespace: string;
  sink: EventSink;
  connect: (options: ConnectionOptions) => Promise<NatsConnection>;
  /** Up to where a kept stream is in the snapshots; null: there are none. */
  position: PositionDisk;
  after: (delayMs: number, task: () => void) => void;
  log: Logger;
}

/** Opens one, which lives as long as the object; null where the fleet socket brings everything. */
export type OpenEventSource = (options: EventSourceOptions) => EventSource;

export interface EventSource {
  /** The router's index is being written to disk, rank by rank; and has been. */
  snapshot(what: 'begins' | 'ends'): void;
  close(): Promise<void>;
}
