/** A component by native gRPC: `stator.v1.Component/Call`, the same calls as over HTTP/1.1. */

import { create } from '@bufbuild/protobuf';
import { type Metadata, Server, type ServerWritableStream } from '@grpc/grpc-js';
import { StatorError, toStatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import {
  type ComponentCall,
  ComponentCallSchema,
  type ComponentItem,
  ComponentItemSchema,
} from '../proto/gen/stator/v1/component_pb.js';
import type { Bearer } from '../server/bearer.ts';
import { decoder, encoder } from '../server/grpc-codec.ts';
import { grpcStatus } from '../server/grpc-error.ts';
import { COMPONENT_SERVICE, inputOf } from './component-http.ts';
import { type CallHost, itemsOf, RunningCall } from './running-call.ts';

type CallStream = ServerWritableStream<ComponentCall, ComponentItem>;

export const COMPONENT_CALL = `${COMPONENT_SERVICE}Call`;

/** Not listening yet. */
export function createComponentGrpc(host: CallHost, bearer: Bearer): Server {
  const server = new Server({ 'grpc.max_receive_message_length': LIMITS.bodyBytes });
  const serve = (stream: CallStream): void => void serveCall(host, bearer, stream);
  server.register(
    COMPONENT_CALL,
    serve,
    encoder(ComponentItemSchema),
    decoder(ComponentCallSchema),
    'serverStream',
  );
  return server;
}

async function serveCall(host: CallHost, bearer: Bearer, stream: CallStream): Promise<void> {
  let call: RunningCall | null = null;
  const over = () => call?.end();
  stream.once('cancelled', over);
  stream.once('close', over);
  stream.once('finish', over);
  try {
    const { endpoint, data, contentType, timeoutMs } = stream.request;
    const headers = headersOf(stream.metadata);
    if (!bearer.accepts(headers['authorization'])) {
      throw new StatorError('invalid_api_key', 'the fleet token is missing or wrong');
    }
    delete headers['authorization'];
    const input = inputOf(contentType, Buffer.from(data));
    const requestId = headers['x-request-id'] ?? '';
    call = new RunningCall(host, { endpoint, input, headers, requestId, timeoutMs: timeoutMs || null });
    for await (const item of itemsOf(await call.answer())) {
      if (stream.cancelled) return;
      const isText = typeof item === 'string';
      const message = create(ComponentItemSchema, {
        data: isText ? Buffer.from(item) : item,
        contentType: isText ? 'application/json' : 'application/octet-stream',
      });
      if (!stream.write(message)) await drainedOrGone(stream);
    }
    call.done();
    stream.end();
  } catch (thrown) {
    stream.emit('error', grpcStatus(toStatorError(thrown)));
  } finally {
    over();
  }
}

const drainedOrGone = (stream: CallStream): Promise<void> =>
  new Promise((resolve) => {
    stream.once('drain', resolve);
    stream.once('cancelled', resolve);
  });

function headersOf(metadata: Metadata): Record<string, string> {
  const entries = Object.entries(metadata.getMap());
  return Object.fromEntries(entries.map(([name, value]) => [name, String(value)]));
}
