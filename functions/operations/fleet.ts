/**
 * `GET /fleet/v1/{namespace}`: a worker dials in. The fleet token is checked here, in constant time, then the upgrade
 * goes on to the namespace's Router object, which holds the socket.
 */
import { StatorError } from '../../durable/runtime/errors.ts';
import { type Env, routerOf, settingsOf } from '../env.ts';
import { requireFleetToken } from '../middleware/api-key.ts';

const NAMESPACE = /^[a-z0-9][a-z0-9-]{0,62}$/;

export function fleet(env: Env, request: Request, namespace: string): Promise<Response> {
  requireFleetToken(request, settingsOf(env).fleetToken);
  if (!NAMESPACE.test(namespace)) {
    throw new StatorError('invalid_request', `'${namespace}' is not a namespace.`, { param: 'namespace' });
  }
  if (request.headers.get('upgrade')?.toLowerCase() !== 'websocket') {
    throw new StatorError('invalid_request', 'The fleet socket wants an upgrade to WebSocket.', {
      param: 'upgrade',
    });
  }
  return routerOf(env, namespace).fetch(request);
}
