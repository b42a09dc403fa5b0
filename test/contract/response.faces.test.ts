/** One implementation of each method, two listeners: the same request gets the same bytes over HTTP/1.1 and gRPC. */
import { setImmediate } from 'node:timers/promises';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import {
  ClearKvBlocksRequestSchema,
  ClearKvBlocksResponseSchema,
  DetokenizeRequestSchema,
  DetokenizeResponseSchema,
  DrainRequestSchema,
  DrainResponseSchema,
  EmbedRequestSchema,
  EmbedResponseSchema,
  GetArtifactRequestSchema,
  GetArtifactResponseSchema,
  HealthRequestSchema,
  HealthResponseSchema,
  TokenizeRequestSchema,
  TokenizeResponseSchema,
} from '../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';
import { Faces } from '../gpu-sidecar/server/faces.ts';
import { documentOutput, packed, requestOf } from '../gpu-sidecar/server/worker-of.ts';

const requests = [
  ['a stream', requestOf()],
  ['a stream with usage and a stop string', requestOf({ stop: { maxTokens: 9, stop: ['wor'] } })],
  ['a document', requestOf({ output: documentOutput })],
  [
    'a completion with echo',
    requestOf({ output: { ...documentOutput, dialect: 2, stream: true, echo: true } }),
  ],
  [
    'a continued stream',
    requestOf({
      resume: { tokenIds: packed([0xc3]), events: 1, partialEvent: Buffer.from('id: 1:5f'), cachedTokens: 1 },
    }),
  ],
] as const;

test.each(requests)('%s has the same bytes and head on both faces', async (_, request) => {
  await using faces = await Faces.open();
  faces.worker.engine.onSubmit = (running) =>
    void (async () => {
      await setImmediate();
      const resumed = running.request.tokenIds.length > running.request.promptTokens;
      running.start(2);
      if (resumed) running.sink.token(0xa9, 1);
      running.say('Hé');
      // In another turn, so that it is written in two pieces.
      await setImmediate();
      await setImmediate();
      running.say('llo wörld').sink.end('length');
    })();
  const overHttp = await faces.httpGenerate(request);
  const overGrpc = await faces.grpcGenerate(request);
  expect(overHttp.status).toBe(200);
  expect(overHttp.body.toString()).toBe(overGrpc.body.toString());
  expect(overHttp.body.length).toBeGreaterThan(50);
  expect(overGrpc.types[0]).toBe(overHttp.headers['content-type']);
  expect(overGrpc.metadata.get('x-stator-cached-tokens')[0]).toBe(overHttp.headers['x-stator-cached-tokens']);
  expect(overGrpc.metadata.get('x-request-id')).toEqual(['req_1']);
  expect(overHttp.headers['x-request-id']).toBe('req_1');
});

const unary = [
  ['Tokenize', TokenizeRequestSchema, TokenizeResponseSchema, { text: 'hi' }],
  ['Detokenize', DetokenizeRequestSchema, DetokenizeResponseSchema, { tokenIds: packed([104, 105]) }],
  ['Embed', EmbedRequestSchema, EmbedResponseSchema, { inputs: [packed([1, 2]), packed([3])] }],
  ['GetArtifact', GetArtifactRequestSchema, GetArtifactResponseSchema, { sha256: 'ab12' }],
  ['ClearKvBlocks', ClearKvBlocksRequestSchema, ClearKvBlocksResponseSchema, {}],
  ['Health', HealthRequestSchema, HealthResponseSchema, {}],
  ['Drain', DrainRequestSchema, DrainResponseSchema, { deadlineMs: 5 }],
] as const;

test.each(unary)(
  '%s answers the same over HTTP/1.1, gRPC-Web and gRPC',
  async (name, input, output, init) => {
    await using faces = await Faces.open();
    const path = `/stator.v1.Worker/${name}`;
    const message = create(input, init as never);
    const body = toBinary(input, message as never);
    const overHttp = await faces.http(path, { body });
    const framed = Buffer.concat([Buffer.from([0, 0, 0, 0, body.length]), body]);
    const headers = { 'content-type': 'application/grpc-web+proto' };
    const overWeb = await faces.http(path, { body: framed, headers });
    const overGrpc = await faces.grpcUnary(path, { input, output }, message as never);
    expect(fromBinary(output, overHttp.body)).toEqual(overGrpc);
    const length = overWeb.body.readUInt32BE(1);
    expect(fromBinary(output, overWeb.body.subarray(5, 5 + length))).toEqual(overGrpc);
    expect(overWeb.body.subarray(5 + length + 5).toString()).toBe('grpc-status:0\r\n');
  },
);

test('a refusal has the same code and message on both faces', async () => {
  await using faces = await Faces.open();
  const request = requestOf({ tokenIds: new Uint8Array(0) });
  const overHttp = await faces.httpGenerate(request);
  const overGrpc = await faces.grpcGenerate(request).catch((error) => error);
  expect(overHttp.status).toBe(400);
  expect(overHttp.headers['x-stator-code']).toBe('invalid_request');
  expect(overGrpc.code).toBe(Number(overHttp.headers['grpc-status']));
  expect(overGrpc.metadata.get('x-stator-code')).toEqual(['invalid_request']);
  expect(overGrpc.details).toBe(JSON.parse(overHttp.body.toString()).error.message);
  expect(decodeURIComponent(overHttp.headers['grpc-message'] as string)).toBe(overGrpc.details);
});
