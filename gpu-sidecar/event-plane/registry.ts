/** The event planes of a worker: `--event-plane`. `socket` is the fleet socket and needs nothing more. */

import type { Settings } from '../../durable/runtime/config.ts';
import type { OpenEventTransport } from './event-transport.ts';

interface EventPlaneKind {
  /** The platform listens there: then the fleet socket carries only what it asks for again. */
  reachesPlatform: boolean;
  /** Loaded when asked for: the libraries are large, and that of ZMQ is not everywhere. */
  load: () => Promise<OpenEventTransport>;
}

export const EVENT_PLANES: Record<Settings['eventPlane'], EventPlaneKind | null> = {
  socket: null,
  nats: { reachesPlatform: true, load: async () => (await import('./nats-transport.ts')).openNatsTransport },
  zmq: { reachesPlatform: false, load: async () => (await import('./zmq-transport.ts')).openZmqTransport },
};
