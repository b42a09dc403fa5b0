/** A way for a Generate request to reach the worker that the router chose: one file each, `--request-plane` says which. */

import type { Env } from '../../env.ts';

export interface ChosenWorker {
  worker: string;
  namespace: string;
  /** Base URL of its HTTP/1.1 face. */
  address: string;
  fleetToken: string;
}

/**
 * The worker's answer, whose body breaks when the worker is lost before its end. Throws `worker_unavailable` when it
 * cannot be reached.
 */
export type RequestPlane = (
  env: Env,
  worker: ChosenWorker,
  body: Uint8Array,
  signal?: AbortSignal,
) => Promise<Response>;
