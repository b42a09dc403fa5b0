/**
 * The router's service on native gRPC: isolates cannot speak HTTP/2, so any worker's gRPC listener takes these calls and
 * hands their bytes to the platform over HTTP/1.1. Nothing is looked into here; `authorization` goes along, and it is the
 * platform that checks it.
 */

import { toBinary } from '@bufbuild/protobuf';
import type { Metadata, Server, ServerUnaryCall, ServerWritableStream, sendUnaryData } from '@grpc/grpc-js';
import { isErrorCode, StatorError, toStatorError } from '../../durable/runtime/errors.ts';
import { HttpBodySchema } from '../proto/gen/google/api/httpbody_pb.js';
import { grpcStatus } from './grpc-error.ts';

const ROUTER = '/stator.v1.Router/';
const asIs = (bytes: Buffer): Buffer => bytes;

/** `platformUrl`: base URL of the platform. */
export function serveRouter(server: Server, platformUrl: string): void {
  const call = (method: string, bytes: Buffer, metadata: Metadata, signal: AbortSignal) =>
    askPlatform(platformUrl + ROUTER + method, bytes, metadata, signal);

  const bestWorkerId = (request: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>): void => {
    call('BestWorkerId', request.request, request.metadata, aborted(request))
      .then(async (response) => done(null, Buffer.from(await response.arrayBuffer())))
      .catch((thrown: unknown) => done(grpcStatus(toStatorError(thrown))));
  };
  const generate = async (stream: ServerWritableStream<Buffer, Buffer>): Promise<void> => {
    try {
      const response = await call('Generate', stream.request, stream.metadata, aborted(stream));
      await pass(response, stream);
    } catch (thrown) {
      if (!stream.cancelled) stream.emit('error', grpcStatus(toStatorError(thrown)));
    }
  };
  server.register(`${ROUTER}BestWorkerId`, bestWorkerId, asIs, asIs, 'unary');
  server.register(`${ROUTER}Generate`, generate, asIs, asIs, 'serverStream');
}

/** Ends with the caller's interest. */
function aborted(call: { on(event: 'cancelled', listener: () => void): unknown }): AbortSignal {
  const controller = new AbortController();
  call.on('cancelled', () => controller.abort());
  return controller.signal;
}

/** The platform's answer. Throws what it refused with, or `worker_unavailable` when there is none. */
async function askPlatform(
  url: string,
  bytes: Buffer,
  metadata: Metadata,
  signal: AbortSignal,
): Promise<Response> {
  const headers: Record<string, string> = { 'content-type': 'application/proto' };
  for (const name of ['authorization', 'x-api-key', 'x-request-id']) {
    const [value] = metadata.get(name);
    if (typeof value === 'string') headers[name] = value;
  }
  let response: Response;
  try {
    response = await fetch(url, { method: 'POST', headers, body: new Uint8Array(bytes), signal });
  } catch (cause) {
    throw new StatorError('worker_unavailable', 'the platform does not answer', { cause });
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

async function refusal(response: Response): Promise<StatorError> {
  const code = response.headers.get('x-stator-code') ?? '';
  const body = (await response.json().catch(() => null)) as { error?: { message?: string } } | null;
  const message = body?.error?.message ?? `the platform answered with HTTP status ${response.status}`;
  return new StatorError(isErrorCode(code) ? code : 'worker_unavailable', message);
}

/** Each portion of the body is one message, at the reader's pace. */
async function pass(response: Response, stream: ServerWritableStream<Buffer, Buffer>): Promise<void> {
  const contentType = response.headers.get('content-type') ?? '';
  for await (const data of response.body ?? []) {
    const body = { $typeName: 'google.api.HttpBody' as const, contentType, data, extensions: [] };
    if (!stream.write(Buffer.from(toBinary(HttpBodySchema, body)))) {
      await new Promise<void>((resolve) => {
        stream.once('drain', resolve);
        stream.once('cancelled', resolve);
      });
    }
    if (stream.cancelled) return;
  }
  stream.end();
}
