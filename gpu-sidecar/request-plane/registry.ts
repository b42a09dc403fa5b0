/** The request planes of a worker. `http` is its HTTP face and needs nothing more. */

import type { Settings } from '../../durable/runtime/config.ts';
import type { OpenRequestServer } from './request-server.ts';

/** Loaded when asked for. */
export const REQUEST_SERVERS: Record<Settings['requestPlane'], (() => Promise<OpenRequestServer>) | null> = {
  http: null,
  nats: async () => (await import('./nats-server.ts')).openNatsServer,
};
