/** The request planes of the platform. */

import type { Settings } from '../../../durable/runtime/config.ts';
import { post } from '../worker-call.ts';
import { byNats } from './nats.ts';
import type { RequestPlane } from './request-plane.ts';

export const REQUEST_PLANES: Record<Settings['requestPlane'], RequestPlane> = {
  http: (_env, worker, body, signal) => post(worker, 'Generate', body, signal),
  nats: byNats,
};
