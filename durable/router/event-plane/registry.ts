/**
 * The event planes that a platform can hear: `--event-plane`. `socket` and `zmq` bring nothing here: the first is the fleet
 * socket itself, the second is for others, while the fleet socket goes on.
 */

import type { Settings } from '../../runtime/config.ts';
import type { OpenEventSource } from './event-source.ts';

/** Loaded when asked for: the default needs none of it. */
export const EVENT_SOURCES: Record<Settings['eventPlane'], (() => Promise<OpenEventSource>) | null> = {
  socket: null,
  zmq: null,
  nats: async () => (await import('./nats-source.ts')).openNatsSource,
};
