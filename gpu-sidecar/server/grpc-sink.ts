/** A Generate response over native gRPC: a stream of HttpBody messages; the first one names the content type. */

import { create } from '@bufbuild/protobuf';
import { Metadata, type ServerWritableStream } from '@grpc/grpc-js';
import { StatorError } from '../../durable/runtime/errors.ts';
import { type HttpBody, HttpBodySchema } from '../proto/gen/google/api/httpbody_pb.js';
import type { GenerateRequest } from '../proto/gen/stator/v1/worker_pb.js';
import type { Chunk } from '../response/response-fold.ts';
import type { ByteSink, ResponseHead } from './byte-sink.ts';
import { grpcStatus } from './grpc-error.ts';

export type GenerateStream = ServerWritableStream<GenerateRequest, HttpBody>;

export class GrpcSink implements ByteSink {
  readonly #stream: GenerateStream;
  #contentType = '';

  constructor(stream: GenerateStream) {
    this.#stream = stream;
  }

  head(head: ResponseHead): void {
    const metadata = new Metadata();
    metadata.set('x-request-id', head.requestId);
    if (head.cachedTokens !== null) metadata.set('x-stator-cached-tokens', String(head.cachedTokens));
    if (head.prefilledBy) metadata.set('x-stator-prefill-worker', head.prefilledBy);
    if (head.prefillFailed) metadata.set('x-stator-prefill-failed', head.prefillFailed);
    this.#stream.sendMetadata(metadata);
    this.#contentType = head.contentType;
  }

  /** `sendMetadata` has sent it. */
  flushHead(): void {}

  write(chunk: Chunk): boolean {
    const contentType = this.#contentType;
    this.#contentType = '';
    return this.#stream.write(create(HttpBodySchema, { contentType, data: Buffer.from(chunk) }));
  }

  whenDrained(run: () => void): void {
    this.#stream.once('drain', run);
  }

  end(chunk: Chunk): void {
    if (chunk.length > 0) this.write(chunk);
    this.#stream.end();
  }

  refuse(error: StatorError): void {
    this.#stream.emit('error', grpcStatus(error));
  }

  cut(): void {
    this.refuse(new StatorError('worker_unavailable', 'the worker gave the request up'));
  }
}
