/** The open inference protocol in front of a platform that is an HTTP server of the test. */

import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { Client, credentials, Metadata, Server, ServerCredentials } from '@grpc/grpc-js';
import { afterEach, expect, test } from 'vitest';
import * as proto from '../../../../gpu-sidecar/proto/gen/inference/grpc_service_pb.js';
import { decoder, encoder } from '../../../../gpu-sidecar/server/grpc-codec.ts';
import { serveKserve } from '../../../../gpu-sidecar/server/kserve/service.ts';
import { PlatformCaller } from '../../../../gpu-sidecar/server/platform-call.ts';
import { ask, request, streamOf, texts, whole } from '../../../harness/kserve-client.ts';

const { method } = proto.GRPCInferenceService;
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function front(handle: http.RequestListener): Promise<Client> {
  const platform = http.createServer(handle).listen(0, '127.0.0.1');
  await once(platform, 'listening');
  const server = new Server();
  serveKserve(
    server,
    new PlatformCaller(() => `http://127.0.0.1:${(platform.address() as AddressInfo).port}`),
  );
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

const chunk = (words: string, finish_reason: string | null = null) =>
  `id: 0:1\ndata: ${JSON.stringify({ id: 'cmpl-1', model: 'm', choices: [{ index: 0, text: words, finish_reason }] })}\n\n`;
const refused = (response: http.ServerResponse, status: number, code: string, message: string) =>
  response
    .writeHead(status, { 'x-stator-code': code })
    .end(JSON.stringify({ error: { message, type: 'x', param: null, code } }));

test('liveness, readiness and metadata are those of the platform', async () => {
  const client = await front((asked, response) => {
    if (asked.url === '/live') response.end('ok');
    else if (asked.url === '/health') response.writeHead(503).end('{}');
    else if (asked.url === '/v1/models/org%2Fm') response.end(JSON.stringify({ id: 'org/m', workers: 2 }));
    else refused(response, 404, 'model_not_found', 'no such model');
  });
  expect(await ask(client, method.serverLive, {})).toMatchObject({ live: true });
  expect(await ask(client, method.serverReady, {})).toMatchObject({ ready: false });
  expect(await ask(client, method.serverMetadata, {})).toMatchObject({ name: 'stator' });
  expect(await ask(client, method.modelReady, { name: 'org/m' })).toMatchObject({ ready: true });
  expect(await ask(client, method.modelReady, { name: 'x' })).toMatchObject({ ready: false });
  const metadata = await ask(client, method.modelMetadata, { name: 'org/m', version: '1' });
  expect(metadata).toMatchObject({ name: 'org/m', versions: ['1'], platform: 'stator' });
  expect(metadata.inputs.map(({ datatype, name, shape }) => [name, datatype, shape])).toEqual([
    ['text_input', 'BYTES', [1n]],
    ['streaming', 'BOOL', [1n]],
  ]);
  await expect(ask(client, method.modelMetadata, { name: 'x' })).rejects.toMatchObject({ code: 5 });
});

test('ModelInfer: a completion with the key of the caller, whole, with its usage', async () => {
  const client = await front(async (asked, response) => {
    expect(asked.headers).toMatchObject({
      authorization: 'Bearer key',
      'content-type': 'application/json',
    });
    expect(JSON.parse(await text(asked))).toEqual({ model: 'm', prompt: 'hi', stream: false });
    response.end(
      JSON.stringify({
        id: 'cmpl-1',
        model: 'm',
        choices: [{ index: 0, text: ' there', finish_reason: 'stop' }],
        usage: { prompt_tokens: 3, completion_tokens: 2, prompt_tokens_details: { cached_tokens: 1 } },
      }),
    );
  });
  const metadata = new Metadata();
  metadata.set('authorization', 'Bearer key');
  const answer = await ask(client, method.modelInfer, whole('hi', { id: '' }), metadata);
  expect(answer).toMatchObject({ modelName: 'm', modelVersion: '1', id: 'cmpl-1' });
  expect([texts(answer), texts(answer, 'finish_reason')]).toEqual([[' there'], ['stop']]);
  expect(answer.parameters['cached_tokens']?.parameterChoice.value).toBe(1n);
});

test.each([
  [404, 'model_not_found', 5],
  [529, 'overloaded', 8],
  [401, 'invalid_api_key', 16],
  [400, 'context_length_exceeded', 3],
])('a refusal with %d %s is gRPC status %d', async (status, code, grpc) => {
  const client = await front((_asked, response) => refused(response, status, code, 'because'));
  await expect(ask(client, method.modelInfer, whole('hi'))).rejects.toMatchObject({
    code: grpc,
    details: 'because',
  });
});

test('a body that says an error after its head is that error', async () => {
  const client = await front((_asked, response) =>
    response.end(`   ${JSON.stringify({ error: { code: 'engine_error', message: 'it broke' } })}`),
  );
  await expect(ask(client, method.modelInfer, whole('hi'))).rejects.toMatchObject({
    code: 13,
    details: 'it broke',
  });
});

test('a stream: one response an event, the last one marked, requests in their order, errors told', async () => {
  const client = await front(async (asked, response) => {
    const { prompt } = JSON.parse(await text(asked)) as { prompt: string };
    if (prompt === 'bad') return void refused(response, 404, 'model_not_found', 'no such model');
    response.end(`: keep-alive\n\n${chunk(`${prompt} a`)}${chunk('', 'length')}data: [DONE]\n\n`);
  });
  const stream = streamOf(client);
  for (const prompt of ['one', 'bad', 'two']) stream.write(request(prompt));
  stream.end();
  const got: unknown[] = [];
  for await (const message of stream) {
    const { errorMessage, inferResponse } = message as proto.ModelStreamInferResponse;
    const final = inferResponse?.parameters['triton_final_response']?.parameterChoice.value;
    got.push([inferResponse?.id, errorMessage || texts(inferResponse)?.[0], final]);
  }
  expect(got).toEqual([
    ['one', 'one a', false],
    ['one', '', true],
    ['bad', 'no such model', undefined],
    ['two', 'two a', false],
    ['two', '', true],
  ]);
});

test.each(['unary', 'stream'])(
  'a caller that cancels its %s call ends the request to the platform',
  async (kind) => {
    const left = Promise.withResolvers<void>();
    const arrived = Promise.withResolvers<void>();
    const client = await front((_asked, response) => {
      response.on('close', left.resolve);
      response.writeHead(200);
      response.write(chunk('a'));
      arrived.resolve();
    });
    if (kind === 'stream') {
      const stream = streamOf(client);
      stream.on('error', () => {});
      stream.write(request('hi'));
      await once(stream, 'data');
      stream.cancel();
    } else {
      const { input, name, output } = method.modelInfer;
      const path = `/inference.GRPCInferenceService/${name}`;
      const call = client.makeUnaryRequest(path, encoder(input), decoder(output), whole('hi'), () => {});
      await arrived.promise;
      call.cancel();
    }
    await left.promise;
  },
);
