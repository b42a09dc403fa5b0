/**
 * How a worker's KV events and load leave it besides the fleet socket. A kind is one file and one line in the registry; the
 * contract that each keeps is a suite (test/gpu-sidecar/event-plane). What a transport loses is found by the events' ids.
 */

import type { Settings } from '../../durable/runtime/config.ts';
import type { Topic } from '../../durable/runtime/event-plane/subjects.ts';
import type { Logger } from '../../durable/runtime/log.ts';
import type { Timers } from '../timers.ts';

export interface EventMessage {
  /** In the envelope; from 0 up by 1 for each topic. */
  sequence: number;
  /** The same message sent twice has the same. */
  id: string;
  envelope: Uint8Array;
}

export interface EventTransport {
  /** Where others may listen, for the log. */
  readonly addresses: Readonly<Record<string, string>>;
  /** In order. Resolves when more may come; rejects when some of these may not have arrived. */
  publish(topic: Topic, messages: readonly EventMessage[]): Promise<void>;
  close(): Promise<void>;
}

export interface TransportOptions {
  settings: Settings;
  component: string;
  publisherId: bigint;
  /** It was away and is back. */
  back: () => void;
  timers: Timers;
  log: Logger;
}

/** Throws StatorError `invalid_request` when it cannot work on this machine. */
export type OpenEventTransport = (options: TransportOptions) => Promise<EventTransport>;
