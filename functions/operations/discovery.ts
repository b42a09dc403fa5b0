/**
 * Discovery over HTTP: `GET /discovery/v1/instances` lists, `GET /discovery/v1/watch` is a WebSocket that tells every change
 * (`durable/runtime/discovery-frames.ts`), `GET /fleet/v1/discovery/lease` is that of workers, who put as well.
 */
import * as z from 'zod';
import { StatorError } from '../../durable/runtime/errors.ts';
import {
  checkEndpointName,
  endpointAddress,
  INSTANCES_PREFIX,
  readInstance,
} from '../../durable/runtime/instance.ts';
import { directoryOf, type Env, settingsOf } from '../env.ts';
import { requireFleetToken } from '../middleware/api-key.ts';

export const instancesSchema = z.object({
  /** Rises with every change. */
  version: z.number(),
  instances: z.array(
    z.object({
      address: z.string(),
      namespace: z.string(),
      component: z.string(),
      endpoint: z.string(),
      instance_id: z.string(),
      http: z.string().nullable(),
      grpc: z.string().nullable(),
      idempotent: z.boolean(),
    }),
  ),
});

/** `prefix`: a namespace, with a component and an endpoint behind it as far as one likes. */
export async function listInstances(env: Env, prefix: string | undefined): Promise<Response> {
  const list = await directoryOf(env).list(keyPrefix(prefix), -1);
  const instances = (list?.entries ?? []).flatMap(({ key, value }) => {
    const instance = readInstance(key, value);
    if (instance === null) return [];
    const { instanceId: instance_id, ...rest } = instance;
    return [{ address: endpointAddress(instance), instance_id, ...rest }];
  });
  return Response.json({ version: list?.version ?? 0, instances } satisfies z.output<typeof instancesSchema>);
}

export function watchInstances(env: Env, request: Request): Promise<Response> {
  requireUpgrade(request);
  const url = new URL(request.url);
  url.searchParams.set('prefix', keyPrefix(url.searchParams.get('prefix') ?? undefined));
  return directoryOf(env).fetch(new Request(url, request));
}

export function leaseDiscovery(env: Env, request: Request): Promise<Response> {
  requireFleetToken(request, settingsOf(env).fleetToken);
  requireUpgrade(request);
  return directoryOf(env).fetch(request);
}

/** `default`, `default/backend`, `dyn://default.backend.generate`. */
function keyPrefix(prefix = ''): string {
  const parts = prefix
    .replace(/^dyn:\/\//, '')
    .split(/[./]/)
    .filter((part) => part !== '');
  if (parts.length > 3) {
    const message = 'prefix must be namespace, namespace/component or namespace/component/endpoint.';
    throw new StatorError('invalid_request', message, { param: 'prefix' });
  }
  const [namespace = 'a', component = 'a', endpoint = 'a'] = parts;
  checkEndpointName({ namespace, component, endpoint });
  return INSTANCES_PREFIX + parts.map((part) => `${part}/`).join('');
}

function requireUpgrade(request: Request): void {
  if (request.headers.get('upgrade')?.toLowerCase() === 'websocket') return;
  throw new StatorError('invalid_request', 'This wants an upgrade to WebSocket.', { param: 'upgrade' });
}
