/**
 * KServe's open inference protocol, version 2, on native gRPC. It is one more client of the platform: every call is asked
 * there over HTTP (`platform-call.ts`), so it is routed, queued and migrated like any other and never goes straight into
 * the engine beside it. Any worker's gRPC listener takes it, with the caller's own API key in `authorization`.
 *
 * A call's failure is a gRPC status. In ModelStreamInfer a request that fails is told in a response (`error_message`, with
 * its `id` and the parameter `stator_code`), and the stream goes on with the next. A caller that cancels ends the HTTP
 * request, and that stops the engine.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import type { Metadata, Server, ServerDuplexStream, ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import { StatorError, toStatorError } from '../../../durable/runtime/errors.ts';
import * as proto from '../../proto/gen/inference/grpc_service_pb.js';
import { callerGone } from '../caller-gone.ts';
import { eventData } from '../event-data.ts';
import { decoder, encoder } from '../grpc-codec.ts';
import { grpcStatus } from '../grpc-error.ts';
import { type PlatformCaller, refusalOf } from '../platform-call.ts';
import { checkVersion, type Inference, readInference } from './infer-request.ts';
import { type Completion, InferStream, inferResponse } from './infer-response.ts';
import { modelMetadata } from './model.ts';

const manifest = readFileSync(join(import.meta.dirname, '../../../package.json'), 'utf8');
const { version } = JSON.parse(manifest) as { version: string };
const { method, typeName } = proto.GRPCInferenceService;
const SERVICE = `/${typeName}/`;
const COMPLETIONS = '/v1/completions';

/** One gRPC call and how to reach the platform for it. */
interface Caller {
  platform: PlatformCaller;
  metadata: Metadata;
  signal: AbortSignal;
}

type InferStreamCall = ServerDuplexStream<proto.ModelInferRequest, proto.ModelStreamInferResponse>;

export function serveKserve(server: Server, platform: PlatformCaller): void {
  const unary = <In extends DescMessage, Out extends DescMessage>(
    { input, name, output }: DescMethodUnary<In, Out>,
    run: (request: MessageShape<In>, caller: Caller) => Promise<MessageInitShape<Out>>,
  ): void => {
    type Call = ServerUnaryCall<MessageShape<In>, MessageShape<Out>>;
    const handler = (call: Call, done: sendUnaryData<MessageShape<Out>>): void => {
      run(call.request, { platform, metadata: call.metadata, signal: callerGone(call) }).then(
        (answer) => done(null, create(output, answer)),
        (thrown: unknown) => done(grpcStatus(toStatorError(thrown))),
      );
    };
    server.register(SERVICE + name, handler, encoder(output), decoder(input), 'unary');
  };
  unary(method.serverLive, async (_, caller) => ({ live: await isOk('/live', caller) }));
  unary(method.serverReady, async (_, caller) => ({ ready: await isOk('/health', caller) }));
  unary(method.serverMetadata, async () => ({ name: 'stator', version, extensions: [] }));
  unary(method.modelReady, modelReady);
  unary(method.modelMetadata, metadataOf);
  unary(method.modelInfer, infer);
  const { input, name, output } = method.modelStreamInfer;
  const inferStream = (call: InferStreamCall): void => void inferAll(call, platform);
  server.register(SERVICE + name, inferStream, encoder(output), decoder(input), 'bidi');
}

const isOk = async (path: string, { platform, ...call }: Caller): Promise<boolean> => {
  const response = await platform.ask(path, call);
  await response.body?.cancel();
  return response.ok;
};

async function modelReady({ name, version }: proto.ModelReadyRequest, caller: Caller) {
  try {
    return { ready: (await modelOf(name, version, caller)).workers > 0 };
  } catch (thrown) {
    const error = toStatorError(thrown);
    if (error.code === 'model_not_found') return { ready: false };
    throw error;
  }
}

async function metadataOf({ name, version }: proto.ModelMetadataRequest, caller: Caller) {
  return modelMetadata((await modelOf(name, version, caller)).id);
}

async function modelOf(name: string, version: string, { platform, ...call }: Caller) {
  checkVersion(name, version);
  const response = await platform.get(`/v1/models/${encodeURIComponent(name)}`, call);
  return (await response.json()) as { id: string; workers: number };
}

async function infer(request: proto.ModelInferRequest, caller: Caller): Promise<proto.ModelInferResponse> {
  const inference = readInference(request);
  if (inference.stream) {
    const reason = "'streaming': ModelInfer has one response; ModelStreamInfer streams";
    throw new StatorError('invalid_request', reason, { param: 'streaming' });
  }
  return wholeAnswer(request.id, inference, caller);
}

async function wholeAnswer(
  id: string,
  inference: Inference,
  caller: Caller,
): Promise<proto.ModelInferResponse> {
  const completion = (await (await complete(inference, caller)).json()) as Completion;
  // After its head is out the platform can only say it in the body.
  if ('error' in completion) throw refusalOf(completion, 'the answer failed');
  return inferResponse(completion, { id, wanted: inference.wanted });
}

const complete = ({ body }: Inference, { platform, ...call }: Caller): Promise<Response> =>
  platform.get(COMPLETIONS, { ...call, body: { type: 'application/json', bytes: JSON.stringify(body) } });

/** The requests of one stream in their order; the next is read when the one before has been answered. */
async function inferAll(call: InferStreamCall, platform: PlatformCaller): Promise<void> {
  const caller = { platform, metadata: call.metadata, signal: callerGone(call) };
  try {
    for await (const request of call as AsyncIterable<proto.ModelInferRequest>) {
      try {
        for await (const inferred of answersTo(request, caller))
          await send(call, { inferResponse: inferred });
      } catch (thrown) {
        if (call.cancelled) return;
        await send(call, failure(request, toStatorError(thrown)));
      }
      if (call.cancelled) return;
    }
    call.end();
  } catch (thrown) {
    if (!call.cancelled) call.emit('error', grpcStatus(toStatorError(thrown)));
  }
}

async function* answersTo(
  request: proto.ModelInferRequest,
  caller: Caller,
): AsyncGenerator<proto.ModelInferResponse> {
  const inference = readInference(request);
  if (!inference.stream) {
    yield await wholeAnswer(request.id, inference, caller);
    return;
  }
  const stream = new InferStream(request.id, inference);
  const response = await complete(inference, caller);
  for await (const data of eventData(response.body ?? new ReadableStream<Uint8Array>())) {
    if (data === '[DONE]') return;
    const chunk = JSON.parse(data) as Completion | { error: object };
    if ('error' in chunk) throw refusalOf(chunk, 'the answer failed');
    const inferred = stream.response(chunk);
    if (inferred !== null) yield inferred;
  }
  throw refusalOf(null, 'the answer ended before its last event');
}

function failure(
  { id, modelName }: proto.ModelInferRequest,
  { code, message }: StatorError,
): MessageInitShape<typeof proto.ModelStreamInferResponseSchema> {
  const value = { parameterChoice: { case: 'stringParam' as const, value: code } };
  return { errorMessage: message, inferResponse: { id, modelName, parameters: { stator_code: value } } };
}

/** At the reader's pace. */
async function send(
  call: InferStreamCall,
  response: MessageInitShape<typeof proto.ModelStreamInferResponseSchema>,
): Promise<void> {
  if (call.cancelled || call.write(create(proto.ModelStreamInferResponseSchema, response))) return;
  await new Promise<void>((resolve) => {
    call.once('drain', resolve);
    call.once('cancelled', resolve);
  });
}
