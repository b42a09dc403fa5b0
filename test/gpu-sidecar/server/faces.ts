/** Both listeners of a test worker on free ports, and clients for them. */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { Client, credentials, Metadata, ServerCredentials, type ServiceError } from '@grpc/grpc-js';
import { type HttpBody, HttpBodySchema } from '../../../gpu-sidecar/proto/gen/google/api/httpbody_pb.js';
import {
  type GenerateRequest,
  GenerateRequestSchema,
} from '../../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';
import { Bearer } from '../../../gpu-sidecar/server/bearer.ts';
import { createGrpcServer } from '../../../gpu-sidecar/server/grpc.ts';
import { createHttpServer } from '../../../gpu-sidecar/server/http.ts';
import { systemTimers } from '../../../gpu-sidecar/timers.ts';
import { type TestWorker, type TestWorkerOptions, workerOf } from './worker-of.ts';

export const TOKEN = 'fleet-secret';

export interface HttpAnswer {
  status: number;
  headers: http.IncomingHttpHeaders;
  body: Buffer;
}

export class Faces implements AsyncDisposable {
  readonly worker: TestWorker;
  readonly httpPort: number;
  readonly grpcPort: number;
  readonly #close: () => Promise<void>;
  readonly #grpcClient: Client;

  private constructor(
    worker: TestWorker,
    { httpPort, grpcPort }: { httpPort: number; grpcPort: number },
    grpcClient: Client,
    close: () => Promise<void>,
  ) {
    this.worker = worker;
    this.httpPort = httpPort;
    this.grpcPort = grpcPort;
    this.#grpcClient = grpcClient;
    this.#close = close;
  }

  static async open(options: TestWorkerOptions = {}): Promise<Faces> {
    const worker = workerOf({ timers: systemTimers, ...options });
    const bearer = new Bearer(TOKEN);
    const httpServer = createHttpServer(worker, bearer).listen(0, '127.0.0.1');
    await once(httpServer, 'listening');
    const grpcServer = createGrpcServer(worker, bearer);
    const grpcPort = await new Promise<number>((resolve, reject) => {
      grpcServer.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
        error ? reject(error) : resolve(port),
      );
    });
    const client = new Client(`127.0.0.1:${grpcPort}`, credentials.createInsecure());
    const ports = { httpPort: (httpServer.address() as AddressInfo).port, grpcPort };
    return new Faces(worker, ports, client, async () => {
      client.close();
      grpcServer.forceShutdown();
      httpServer.closeAllConnections();
      await new Promise((resolve) => httpServer.close(resolve));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }

  /** The request, so that a test can break it off, and its answer. */
  httpRequest(path: string, options: http.RequestOptions & { body?: Uint8Array } = {}) {
    const { body, ...rest } = options;
    const request = http.request({
      host: '127.0.0.1',
      port: this.httpPort,
      path,
      method: 'POST',
      ...rest,
      headers: { authorization: `Bearer ${TOKEN}`, ...(rest.headers as http.OutgoingHttpHeaders) },
    });
    const response = new Promise<http.IncomingMessage>((resolve, reject) => {
      request.on('response', resolve);
      request.on('error', reject);
    });
    response.catch(() => {});
    request.end(body);
    return { request, response };
  }

  async http(path: string, options: http.RequestOptions & { body?: Uint8Array } = {}): Promise<HttpAnswer> {
    const response = await this.httpRequest(path, options).response;
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    return { status: response.statusCode!, headers: response.headers, body: Buffer.concat(chunks) };
  }

  httpGenerate(request: GenerateRequest): Promise<HttpAnswer> {
    return this.http('/stator.v1.Worker/Generate', { body: toBinary(GenerateRequestSchema, request) });
  }

  grpcStream(request: GenerateRequest, token = TOKEN) {
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${token}`);
    return this.#grpcClient.makeServerStreamRequest(
      '/stator.v1.Worker/Generate',
      (message: GenerateRequest) => Buffer.from(toBinary(GenerateRequestSchema, message)),
      (bytes: Buffer): HttpBody => fromBinary(HttpBodySchema, bytes),
      request,
      metadata,
    );
  }

  async grpcGenerate(
    request: GenerateRequest,
  ): Promise<{ metadata: Metadata; types: string[]; body: Buffer }> {
    const stream = this.grpcStream(request);
    const head = once(stream, 'metadata') as Promise<[Metadata]>;
    head.catch(() => {});
    const messages: HttpBody[] = [];
    for await (const message of stream) messages.push(message as HttpBody);
    return {
      metadata: (await head)[0],
      types: messages.map(({ contentType }) => contentType),
      body: Buffer.concat(messages.map(({ data }) => data)),
    };
  }

  grpcUnary<In extends DescMessage, Out extends DescMessage>(
    path: string,
    schemas: { input: In; output: Out },
    request: MessageShape<In>,
    token = TOKEN,
  ): Promise<MessageShape<Out>> {
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${token}`);
    return new Promise((resolve, reject) => {
      this.#grpcClient.makeUnaryRequest(
        path,
        (message: MessageShape<In>) => Buffer.from(toBinary(schemas.input, message)),
        (bytes: Buffer) => fromBinary(schemas.output, bytes),
        request,
        metadata,
        (error: ServiceError | null, answer?: MessageShape<Out>) =>
          error ? reject(error) : resolve(answer!),
      );
    });
  }

  grpcServerStream<In extends DescMessage, Out extends DescMessage>(
    path: string,
    schemas: { input: In; output: Out },
    request: MessageShape<In>,
  ): AsyncIterable<MessageShape<Out>> {
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${TOKEN}`);
    return this.#grpcClient.makeServerStreamRequest(
      path,
      (message: MessageShape<In>) => Buffer.from(toBinary(schemas.input, message)),
      (bytes: Buffer) => fromBinary(schemas.output, bytes),
      request,
      metadata,
    );
  }
}
