/**
 * `POST /components/v1/{namespace}/{component}/{endpoint}`: calls any endpoint that a worker has registered, with the bytes as
 * they are, and gives its answer as it comes: JSON, bytes, server-sent events or NDJSON.
 *
 * Another instance is tried only while nothing was answered and the call cannot have begun: the connection was not
 * made, the worker refused it, or its endpoint says that it is idempotent. workerd says of a refused and of a broken
 * connection the same, so for endpoints that are not idempotent a connection is tried first.
 */

import { callInstances, Unreached } from '../../durable/runtime/call-instances.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import {
  checkEndpointName,
  type EndpointName,
  endpointAddress,
  type Instance,
} from '../../durable/runtime/instance.ts';
import type { CallMode } from '../../durable/runtime/instance-choice.ts';
import { CALL_MODES } from '../../durable/runtime/instance-choice.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { readBytes } from '../body.ts';
import { REQUEST_ID_HEADER, WORKER_HEADER } from '../dispatch/response-head.ts';
import { workerError } from '../dispatch/worker-error.ts';
import { type Env, settingsOf } from '../env.ts';
import { instancesOf } from './instances.ts';

const MODE_HEADER = 'x-stator-routing-mode';
const INSTANCE_HEADER = 'x-stator-instance';
const TIMEOUT_HEADER = 'x-stator-timeout-ms';

/** Between two machines, or for the platform alone. */
const NOT_HANDED_ON =
  /^(host|connection|content-length|transfer-encoding|upgrade|keep-alive|te|trailer|expect|accept-encoding|authorization|x-api-key|cookie|proxy-.*|cf-.*|x-stator-(routing-mode|instance))$/;
/** Of the worker's answer. */
const HANDED_BACK = ['content-type', 'cache-control', 'x-stator-cached-tokens'];

export async function callEndpoint(
  env: Env,
  request: Request,
  address: Record<string, string>,
  { requestId, startedMs }: { requestId: string; startedMs: number },
): Promise<Response> {
  const { namespace = '', component = '', endpoint = '' } = address;
  const name = checkEndpointName({ namespace, component, endpoint });
  const wish = wishOf(request.headers);
  const timeoutMs = timeoutOf(request.headers);
  const { bodyLimitBytes, fleetToken } = settingsOf(env);
  const body = await readBytes(request, bodyLimitBytes);
  const headers = headersFor(request.headers, { fleetToken, requestId });
  return callInstances({
    wish,
    random: Math.random,
    choice: (again) => instancesOf(env, name, { nowMs: startedMs, fresh: again }),
    async call(instance) {
      const url = httpOf(instance, name);
      const begun = () =>
        fetch(url, { method: 'POST', headers, body, redirect: 'manual', signal: until(request, timeoutMs) });
      const response = await reached(instance, url, timeoutMs, begun);
      if (response.ok) return handBack(response, instance);
      throw await workerError(response);
    },
  });
}

async function reached(
  instance: Instance,
  url: string,
  timeoutMs: number,
  call: () => Promise<Response>,
): Promise<Response> {
  const { idempotent, instanceId } = instance;
  if (!idempotent) {
    try {
      await tryConnection(url);
    } catch (cause) {
      throw new Unreached(`Instance ${instanceId} cannot be reached.`, { cause, mayHaveBegun: false });
    }
  }
  try {
    return await call();
  } catch (cause) {
    if (cause instanceof Error && cause.name === 'TimeoutError') {
      throw new StatorError(
        'deadline_exceeded',
        `Instance ${instanceId} did not answer within ${timeoutMs} ms.`,
      );
    }
    const said = idempotent ? '' : ' It may have begun the call, which is not said to be idempotent.';
    const message = `The connection to instance ${instanceId} broke before it answered.${said}`;
    throw new Unreached(message, { cause, mayHaveBegun: !idempotent });
  }
}

/** Throws when nobody listens there. */
async function tryConnection(url: string): Promise<void> {
  const { connect } = await import('cloudflare:sockets');
  const { hostname, port, protocol } = new URL(url);
  const socket = connect({
    hostname: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: Number(port || (protocol === 'https:' ? 443 : 80)),
  });
  try {
    await socket.opened;
  } finally {
    // Nobody waits for its end, which may be the same failure once more.
    void socket.close().catch(() => {});
    socket.closed.catch(() => {});
  }
}

/** A caller is better told why the last instance failed than that there is none left. */
function httpOf({ http, instanceId }: Instance, name: EndpointName): string {
  if (http !== null) return http;
  const message = `Instance ${instanceId} of ${endpointAddress(name)} speaks gRPC only.`;
  throw new StatorError('unsupported_parameter', message, { param: 'endpoint' });
}

function wishOf(headers: Headers): { mode: CallMode; instanceId: string | null } {
  const instanceId = headers.get(INSTANCE_HEADER);
  const said =
    headers.get(MODE_HEADER)?.replaceAll('-', '_') ?? (instanceId === null ? 'round_robin' : 'direct');
  const mode = CALL_MODES.find((each) => each === said);
  if (mode === undefined) throw invalid(MODE_HEADER, `must be ${CALL_MODES.join(', ')}`);
  if (mode === 'direct' && !/^[0-9a-fA-F]{1,16}$/.test(instanceId ?? '')) {
    throw invalid(INSTANCE_HEADER, 'must be the instance that mode direct calls, in hex');
  }
  return { mode, instanceId };
}

/** Milliseconds until the answer must have begun. */
function timeoutOf(headers: Headers): number {
  const said = headers.get(TIMEOUT_HEADER);
  if (said === null) return LIMITS.componentCallMs;
  if (!/^[1-9]\d{0,8}$/.test(said)) throw invalid(TIMEOUT_HEADER, 'must be a whole number of milliseconds');
  return Math.min(Number(said), LIMITS.componentCallMs);
}

/** The worker keeps the deadline, and a worker that does not even do that is given a second more. */
function until(request: Request, timeoutMs: number): AbortSignal {
  return AbortSignal.any([request.signal, AbortSignal.timeout(timeoutMs + LIMITS.componentGraceMs)]);
}

function headersFor(
  given: Headers,
  { fleetToken, requestId }: { fleetToken: string; requestId: string },
): Headers {
  const headers = new Headers();
  for (const [name, value] of given) if (!NOT_HANDED_ON.test(name)) headers.set(name, value);
  headers.set('authorization', `Bearer ${fleetToken}`);
  headers.set(REQUEST_ID_HEADER, requestId);
  return headers;
}

function handBack(response: Response, { instanceId }: Instance): Response {
  const headers = new Headers({ [WORKER_HEADER]: instanceId });
  for (const name of HANDED_BACK) {
    const value = response.headers.get(name);
    if (value !== null) headers.set(name, value);
  }
  return new Response(response.body, { status: response.status, headers });
}

const invalid = (param: string, reason: string) =>
  new StatorError('invalid_request', `${param} ${reason}.`, { param });
