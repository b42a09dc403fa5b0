/** A way for requests to come to a worker besides its HTTP face, which is always there: `--request-plane`. */

import type { Settings } from '../../durable/runtime/config.ts';
import type { Logger } from '../../durable/runtime/log.ts';
import type { Worker } from '../server/worker.ts';

export interface RequestServer {
  /** Takes no more requests and lets go of those that run. */
  close(): Promise<void>;
}

export interface RequestServerOptions {
  worker: Worker;
  settings: Settings;
  log: Logger;
}

export type OpenRequestServer = (options: RequestServerOptions) => RequestServer;
