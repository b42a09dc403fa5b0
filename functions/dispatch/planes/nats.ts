/** By NATS: the RequestPlane object of the namespace has the connection. */

import { PLANE_HEADER } from '../../../durable/request-plane/rpc.ts';
import { StatorError } from '../../../durable/runtime/errors.ts';
import { requestPlaneOf } from '../../env.ts';
import type { RequestPlane } from './request-plane.ts';

export const byNats: RequestPlane = async (env, { address, namespace, worker }, body, signal) => {
  const headers = { [PLANE_HEADER.worker]: worker, [PLANE_HEADER.address]: address };
  const init = { method: 'POST', headers, body, ...(signal === undefined ? {} : { signal }) };
  try {
    return await requestPlaneOf(env, namespace).fetch(new Request('http://request-plane/', init));
  } catch (cause) {
    throw new StatorError('worker_unavailable', 'The worker cannot be reached.', { cause });
  }
};
