/**
 * The router's service on native gRPC: the bytes of a call go to the platform as they are and those of the answer come
 * back (`platform-call.ts`). Nothing is looked into here.
 */

import { toBinary } from '@bufbuild/protobuf';
import type { Metadata, Server, ServerUnaryCall, ServerWritableStream, sendUnaryData } from '@grpc/grpc-js';
import { toStatorError } from '../../durable/runtime/errors.ts';
import { HttpBodySchema } from '../proto/gen/google/api/httpbody_pb.js';
import { callerGone } from './caller-gone.ts';
import { grpcStatus } from './grpc-error.ts';
import type { PlatformCaller } from './platform-call.ts';

const ROUTER = '/stator.v1.Router/';
const asIs = (bytes: Buffer): Buffer => bytes;

export function serveRouter(server: Server, platform: PlatformCaller): void {
  const call = (method: string, bytes: Buffer, metadata: Metadata, signal: AbortSignal) =>
    platform.get(ROUTER + method, { metadata, signal, body: { type: 'application/proto', bytes } });

  const unary =
    (method: string) =>
    (request: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>): void => {
      call(method, request.request, request.metadata, callerGone(request))
        .then(async (response) => done(null, Buffer.from(await response.arrayBuffer())))
        .catch((thrown: unknown) => done(grpcStatus(toStatorError(thrown))));
    };
  const generate = async (stream: ServerWritableStream<Buffer, Buffer>): Promise<void> => {
    try {
      const response = await call('Generate', stream.request, stream.metadata, callerGone(stream));
      await pass(response, stream);
    } catch (thrown) {
      if (!stream.cancelled) stream.emit('error', grpcStatus(toStatorError(thrown)));
    }
  };
  for (const method of ['BestWorkerId', 'GetPoolInfo']) {
    server.register(ROUTER + method, unary(method), asIs, asIs, 'unary');
  }
  server.register(`${ROUTER}Generate`, generate, asIs, asIs, 'serverStream');
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
