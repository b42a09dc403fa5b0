/**
 * One unary call to a sidecar over HTTP/1.1: `POST {address}/stator.v1.Worker/{method}`, bare messages both ways.
 */
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import type { ModelEntry } from '../../durable/directory/rpc.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import { workerError } from './worker-error.ts';

const WORKER_SERVICE = 'stator.v1.Worker';

export interface WorkerEndpoint {
  /** Base URL of the HTTP/1.1 face. */
  address: string;
  fleetToken: string;
}

/** The answer of `method`. Throws what the worker said, or `worker_unavailable` when it said nothing. */
export async function callWorker<Req extends DescMessage, Res extends DescMessage>(
  worker: WorkerEndpoint,
  method: string,
  schemas: { request: Req; response: Res },
  request: MessageInitShape<Req>,
): Promise<MessageShape<Res>> {
  const response = await post(worker, method, toBinary(schemas.request, create(schemas.request, request)));
  if (!response.ok) throw await workerError(response);
  try {
    return fromBinary(schemas.response, new Uint8Array(await response.arrayBuffer()));
  } catch (cause) {
    throw new StatorError('worker_unavailable', `The worker's answer to ${method} cannot be read.`, {
      cause,
    });
  }
}

/** The answer of the first worker of a model that gives one, for what all of them know alike. Throws the last one's error. */
export async function callAnyWorker<Req extends DescMessage, Res extends DescMessage>(
  model: ModelEntry,
  fleetToken: string,
  method: string,
  schemas: { request: Req; response: Res },
  request: MessageInitShape<Req>,
): Promise<MessageShape<Res>> {
  let failure: unknown = new StatorError('no_workers', `No worker serves the model '${model.name}'.`);
  for (const address of model.addresses) {
    try {
      return await callWorker({ address, fleetToken }, method, schemas, request);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

/** Throws `worker_unavailable` when no response came. */
export async function post(
  worker: WorkerEndpoint,
  method: string,
  body: Uint8Array,
  signal?: AbortSignal,
): Promise<Response> {
  try {
    return await fetch(`${worker.address}/${WORKER_SERVICE}/${method}`, {
      method: 'POST',
      headers: { 'content-type': 'application/proto', authorization: `Bearer ${worker.fleetToken}` },
      body,
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (cause) {
    throw new StatorError('worker_unavailable', 'The worker cannot be reached.', { cause });
  }
}
