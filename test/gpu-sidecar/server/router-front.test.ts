/** Native gRPC calls of the router's service reach the platform as they came, and its answers and refusals come back. */

import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Client, credentials, Metadata, Server, ServerCredentials } from '@grpc/grpc-js';
import { afterEach, expect, test } from 'vitest';
import { HttpBodySchema } from '../../../gpu-sidecar/proto/gen/google/api/httpbody_pb.js';
import {
  BestWorkerIdRequestSchema,
  BestWorkerIdResponseSchema,
} from '../../../gpu-sidecar/proto/gen/stator/v1/router_pb.js';
import { PlatformCaller } from '../../../gpu-sidecar/server/platform-call.ts';
import { serveRouter } from '../../../gpu-sidecar/server/router-front.ts';

const asIs = (bytes: Buffer) => bytes;
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A client of a front whose platform answers with `handle`. */
async function front(handle: http.RequestListener): Promise<Client> {
  const platform = http.createServer(handle).listen(0, '127.0.0.1');
  await once(platform, 'listening');
  const server = new Server();
  const url = `http://127.0.0.1:${(platform.address() as AddressInfo).port}`;
  serveRouter(server, new PlatformCaller(() => url));
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  closers.push(
    () => client.close(),
    () => server.forceShutdown(),
    () => platform.closeAllConnections(),
    () => platform.close(),
  );
  return client;
}

async function bodyOf(request: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

const asked = Buffer.from(
  toBinary(
    BestWorkerIdRequestSchema,
    create(BestWorkerIdRequestSchema, { model: 'tiny', tokenIds: new Uint8Array(8) }),
  ),
);

const unary = (client: Client, metadata = new Metadata()): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      '/stator.v1.Router/BestWorkerId',
      asIs,
      asIs,
      asked,
      metadata,
      {},
      (error, answer) => (error ? reject(error) : resolve(answer!)),
    );
  });

test('a unary call: path, key and bytes go, the message comes back', async () => {
  const answer = toBinary(
    BestWorkerIdResponseSchema,
    create(BestWorkerIdResponseSchema, { workerId: 'a1', overlapBlocks: 3 }),
  );
  const client = await front(async (request, response) => {
    expect(request.url).toBe('/stator.v1.Router/BestWorkerId');
    expect(request.headers).toMatchObject({
      authorization: 'Bearer key',
      'content-type': 'application/proto',
    });
    expect(await bodyOf(request)).toEqual(asked);
    response.end(answer);
  });
  const metadata = new Metadata();
  metadata.set('authorization', 'Bearer key');
  const message = fromBinary(BestWorkerIdResponseSchema, await unary(client, metadata));
  expect(message).toMatchObject({ workerId: 'a1', overlapBlocks: 3 });
});

test('a refusal is the status of its code, with the words of the platform', async () => {
  const client = await front((_request, response) => {
    response.writeHead(404, { 'x-stator-code': 'model_not_found' });
    response.end(JSON.stringify({ error: { message: 'no such model' } }));
  });
  await expect(unary(client)).rejects.toMatchObject({ code: 5, details: 'no such model' });
});

test('a platform that does not answer is UNAVAILABLE', async () => {
  const client = await front((request) => request.socket.destroy());
  await expect(unary(client)).rejects.toMatchObject({ code: 14 });
});

test("a stream's messages are the portions of the body, and a caller that leaves ends the request", async () => {
  const left = Promise.withResolvers<void>();
  const client = await front((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: 1\n\n');
    response.on('close', left.resolve);
  });
  const stream = client.makeServerStreamRequest('/stator.v1.Router/Generate', asIs, asIs, asked);
  stream.on('error', () => {});
  const [bytes] = (await once(stream, 'data')) as [Buffer];
  const { contentType, data } = fromBinary(HttpBodySchema, bytes);
  expect([contentType, Buffer.from(data).toString()]).toEqual(['text/event-stream', 'data: 1\n\n']);
  stream.cancel();
  await left.promise;
});

test('a stream ends in order when the body does', async () => {
  const client = await front((_request, response) => response.end('{"id":1}'));
  const stream = client.makeServerStreamRequest('/stator.v1.Router/Generate', asIs, asIs, asked);
  let text = '';
  for await (const bytes of stream)
    text += Buffer.from(fromBinary(HttpBodySchema, bytes as Buffer).data).toString();
  expect(text).toBe('{"id":1}');
});
