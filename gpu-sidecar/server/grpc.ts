/**
 * The native gRPC face (HTTP/2): the Worker service on the same methods as HTTP/1.1, KvIndex and KvEvents, and KvTransfer where the
 * engine has KV memory.
 * Every call wants the fleet token in `authorization`.
 */

import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import {
  Server,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { StatorError, toStatorError } from '../../durable/runtime/errors.ts';
import { HttpBodySchema } from '../proto/gen/google/api/httpbody_pb.js';
import { WatchKvEventsRequestSchema } from '../proto/gen/stator/v1/kv_events_pb.js';
import {
  KvIndexAnswerSchema,
  KvIndexQuerySchema,
  PullAnswerSchema,
  PullRequestSchema,
  TransferMetadataRequestSchema,
  TransferMetadataResponseSchema,
} from '../proto/gen/stator/v1/kv_pb.js';
import {
  GenerateRequestSchema,
  PrefillProgressSchema,
  PrefillRequestSchema,
} from '../proto/gen/stator/v1/worker_pb.js';
import type { BlockSource } from '../transfer/source.ts';
import type { Bearer } from './bearer.ts';
import { callerGone } from './caller-gone.ts';
import { decoder, encoder } from './grpc-codec.ts';
import { grpcStatus } from './grpc-error.ts';
import { servePrefill } from './grpc-prefill.ts';
import { type GenerateStream, GrpcSink } from './grpc-sink.ts';
import { generate } from './methods/generate.ts';
import { queryKvIndex } from './methods/kv-index.ts';
import { servePull } from './methods/kv-transfer.ts';
import { UNARY_METHODS, type UnaryMethod } from './methods/unary.ts';
import { watchKvEvents } from './methods/watch-kv-events.ts';
import type { Worker } from './worker.ts';

const WORKER = '/stator.v1.Worker/';
const KV_INDEX = '/stator.v1.KvIndex/';
const KV_TRANSFER = '/stator.v1.KvTransfer/';
const KV_EVENTS = '/stator.v1.KvEvents/';

/** Not listening yet: the caller binds it. */
export function createGrpcServer(worker: Worker, bearer: Bearer): Server {
  const server = new Server({
    'grpc.max_receive_message_length': worker.limits.bodyBytes,
    'grpc.max_send_message_length': -1,
    'grpc.max_concurrent_streams': worker.limits.concurrentRequests,
  });
  const register = registrar(server, bearer);
  register.stream(`${WORKER}Generate`, GenerateRequestSchema, HttpBodySchema, (stream) =>
    serveGenerate(worker, stream),
  );
  register.stream(`${WORKER}Prefill`, PrefillRequestSchema, PrefillProgressSchema, (stream) =>
    servePrefill(worker, stream),
  );
  for (const [name, method] of Object.entries(UNARY_METHODS)) register.unary(WORKER + name, method, worker);
  register.stream(`${KV_INDEX}Query`, KvIndexQuerySchema, KvIndexAnswerSchema, (stream) =>
    sendAll(stream, queryKvIndex(worker, stream.request)),
  );
  register.stream(`${KV_EVENTS}Watch`, WatchKvEventsRequestSchema, KvIndexAnswerSchema, (stream) => {
    const gone = new AbortController();
    stream.once('cancelled', () => gone.abort());
    return sendAll(stream, watchKvEvents(worker, stream.request, gone.signal));
  });
  return server;
}

/** Other workers may have blocks of this one. */
export function serveKvTransfer(server: Server, bearer: Bearer, source: BlockSource): void {
  const register = registrar(server, bearer);
  const metadata = {
    input: TransferMetadataRequestSchema,
    output: TransferMetadataResponseSchema,
    run: () => source.metadata(),
  };
  register.unary(`${KV_TRANSFER}Metadata`, metadata, null);
  register.duplex(`${KV_TRANSFER}Pull`, PullRequestSchema, PullAnswerSchema, (stream) =>
    servePull(source, stream),
  );
}

function serveGenerate(worker: Worker, stream: GenerateStream): void {
  let closed = false;
  const call = generate(worker, stream.request, new GrpcSink(stream));
  const close = (): void => {
    if (closed) return;
    closed = true;
    call.closed();
  };
  stream.on('cancelled', close);
  stream.on('close', close);
  stream.on('finish', close);
}

/** Sends what an index method yields, at the reader's pace. */
async function sendAll<Out>(
  stream: ServerWritableStream<unknown, Out>,
  messages: Iterable<Out> | AsyncIterable<Out>,
): Promise<void> {
  for await (const message of messages) {
    if (stream.cancelled) return;
    if (!stream.write(message)) await drainedOrGone(stream);
  }
  stream.end();
}

const drainedOrGone = (stream: ServerWritableStream<unknown, never>): Promise<void> =>
  new Promise((resolve) => {
    stream.once('drain', resolve);
    stream.once('cancelled', resolve);
  });

type StreamHandler<In, Out> = (stream: ServerWritableStream<In, Out>) => void | Promise<void>;

interface AnyStream {
  metadata: { get(key: string): unknown[] };
  emit(event: 'error', error: object): boolean;
}

/** Registers methods under their paths, with the token checked and every failure made a status. */
function registrar(server: Server, bearer: Bearer) {
  const unauthenticated = (call: { metadata: { get(key: string): unknown[] } }): StatorError | null => {
    const [header] = call.metadata.get('authorization');
    if (typeof header === 'string' && bearer.accepts(header)) return null;
    return new StatorError('invalid_api_key', 'the fleet token is missing or wrong');
  };
  const guarded =
    <Stream extends AnyStream>(serve: (stream: Stream) => void | Promise<void>) =>
    async (stream: Stream): Promise<void> => {
      try {
        const refusal = unauthenticated(stream);
        if (refusal !== null) throw refusal;
        await serve(stream);
      } catch (thrown) {
        stream.emit('error', grpcStatus(toStatorError(thrown)));
      }
    };
  return {
    unary<Context>(
      path: string,
      method: Pick<UnaryMethod, 'input' | 'output'> & {
        run(context: Context, request: never, gone: AbortSignal): ReturnType<UnaryMethod['run']>;
      },
      context: Context,
    ): void {
      const handler = async (
        call: ServerUnaryCall<never, MessageShape<DescMessage>>,
        done: sendUnaryData<MessageShape<DescMessage>>,
      ): Promise<void> => {
        const gone = callerGone(call);
        try {
          const refusal = unauthenticated(call);
          if (refusal !== null) throw refusal;
          done(null, await method.run(context, call.request, gone));
        } catch (thrown) {
          done(grpcStatus(toStatorError(thrown)));
        }
      };
      server.register(path, handler, encoder(method.output), decoder(method.input) as () => never, 'unary');
    },
    stream<In extends DescMessage, Out extends DescMessage>(
      path: string,
      input: In,
      output: Out,
      serve: StreamHandler<MessageShape<In>, MessageShape<Out>>,
    ): void {
      server.register(path, guarded(serve), encoder(output), decoder(input), 'serverStream');
    },
    duplex<In extends DescMessage, Out extends DescMessage>(
      path: string,
      input: In,
      output: Out,
      serve: (stream: ServerDuplexStream<MessageShape<In>, MessageShape<Out>>) => Promise<void>,
    ): void {
      server.register(path, guarded(serve), encoder(output), decoder(input), 'bidi');
    },
  };
}
