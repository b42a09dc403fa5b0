/** The HTTP/1.1 face over real sockets: who gets in, what is refused how, what a gone client does. */

import { once } from 'node:events';
import net from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { create, toBinary } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { StatorError } from '../../../durable/runtime/errors.ts';
import {
  GenerateRequestSchema,
  GetArtifactRequestSchema,
} from '../../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';
import { soon } from '../../harness/soon.ts';
import { Faces, TOKEN } from './faces.ts';
import { documentOutput, requestOf } from './worker-of.ts';

const GENERATE = '/stator.v1.Worker/Generate';
const body = (request = requestOf()) => toBinary(GenerateRequestSchema, request);

test.each([
  ['no token', {}],
  ['a wrong token of the same length', { authorization: 'Bearer fleet-secreT' }],
  ['another token', { authorization: 'Bearer x' }],
])('%s is 401, on every path, before the body is read', async (_, headers) => {
  await using faces = await Faces.open();
  for (const path of [GENERATE, '/metrics', '/nowhere']) {
    const answer = await faces.http(path, { headers: { authorization: '', ...headers }, body: body() });
    expect(answer.status).toBe(401);
    expect(JSON.parse(answer.body.toString()).error.code).toBe('invalid_api_key');
    expect(answer.headers.connection).toBe('close');
  }
  expect(faces.worker.engine.requests).toEqual([]);
});

test.each([
  ['POST', '/stator.v1.Worker/Nothing', 404, 'not_found'],
  ['POST', '/stator.v1.Worker/Generate?x=1', 404, 'not_found'],
  ['POST', '/stator.v1.Worker/toString', 404, 'not_found'],
  ['GET', '/stator.v1.Worker/Generate', 405, 'method_not_allowed'],
  ['GET', '/stator.v1.Worker/Health', 405, 'method_not_allowed'],
  ['POST', '/metrics', 405, 'method_not_allowed'],
])('%s %s is %i %s', async (method, path, status, code) => {
  await using faces = await Faces.open();
  const answer = await faces.http(path, { method });
  expect(answer.status).toBe(status);
  expect(answer.headers['x-stator-code']).toBe(code);
});

test('a body that is no message is a 400 that names the message', async () => {
  await using faces = await Faces.open();
  const answer = await faces.http(GENERATE, { body: Buffer.from('{"messages":[]}') });
  expect(answer.status).toBe(400);
  expect(JSON.parse(answer.body.toString()).error).toMatchObject({
    code: 'invalid_frame',
    message: expect.stringContaining('stator.v1.GenerateRequest'),
  });
});

/** Speaks HTTP by hand: what is written, piece by piece, and what comes back first. */
async function rawAnswer(port: number, pieces: readonly (string | Uint8Array)[]): Promise<string> {
  const socket = net.connect(port, '127.0.0.1');
  for (const piece of pieces) {
    socket.write(piece);
    await setImmediate();
  }
  const [answer] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return answer.toString();
}

const rawHead = (header: string) =>
  `POST ${GENERATE} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TOKEN}\r\n${header}\r\n\r\n`;

test('a body that is too large is 413, announced or not, and the server lives on', async () => {
  await using faces = await Faces.open({ limits: { bodyBytes: 1_000 } });
  const announced = await rawAnswer(faces.httpPort, [rawHead('content-length: 1001')]);
  expect(announced).toMatch(/^HTTP\/1\.1 413 /);
  const chunked = [rawHead('transfer-encoding: chunked'), `5dc\r\n${'x'.repeat(1500)}\r\n`];
  expect(await rawAnswer(faces.httpPort, chunked)).toMatch(/^HTTP\/1\.1 413 /);
  expect((await faces.http('/stator.v1.Worker/Health')).status).toBe(200);
});

test('a request that arrives in several pieces is one request', async () => {
  await using faces = await Faces.open();
  faces.worker.engine.onSubmit = (running) => running.start().say('ok').sink.end('stop');
  const bytes = body(requestOf({ output: documentOutput }));
  const head = rawHead(`content-length: ${bytes.length}`);
  const answer = await rawAnswer(faces.httpPort, [head, bytes.subarray(0, 20), bytes.subarray(20)]);
  expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  expect(answer).toContain('"content":"ok"');
});

test('a whole answer has a content-length, a stream in pieces is chunked', async () => {
  await using faces = await Faces.open();
  faces.worker.engine.onSubmit = (running) =>
    void (async () => {
      await setImmediate();
      running.start().say('a');
      if (running.request.maxTokens > 1) await setImmediate();
      if (running.request.maxTokens > 1) await setImmediate();
      running.sink.end('length');
    })();
  const whole = await faces.httpGenerate(requestOf({ stop: { maxTokens: 1 } }));
  expect(whole.headers['content-length']).toBe(String(whole.body.length));
  const pieces = await faces.httpGenerate(requestOf());
  expect(pieces.headers['transfer-encoding']).toBe('chunked');
});

test('a refusal of the engine keeps its status and says when to come back', async () => {
  await using faces = await Faces.open();
  faces.worker.engine.refusal = new StatorError('overloaded', 'full – später', { retryAfterS: 2 });
  const answer = await faces.httpGenerate(requestOf());
  expect(answer.status).toBe(529);
  expect(answer.headers['retry-after']).toBe('2');
  expect(decodeURIComponent(answer.headers['grpc-message'] as string)).toBe('full – später');
});

test.each([
  ['before the first token', '', requestOf()],
  ['in mid-stream', 'text', requestOf()],
  ['while a document is computed', 'text', requestOf({ output: documentOutput })],
])('a client that leaves %s stops the engine', async (_, said, message) => {
  await using faces = await Faces.open();
  const { request, response } = faces.httpRequest(GENERATE, { body: body(message) });
  await soon(() => expect(faces.worker.engine.requests).toHaveLength(1));
  faces.worker.engine.last.start().say(said);
  if (said !== '' && message.output!.stream) await response;
  request.destroy();
  await soon(() => expect(faces.worker.engine.last.aborted).toBe(true));
  expect(faces.worker.admission.open).toBe(0);
  expect(faces.worker.reports.at(-1)).toMatchObject({ phase: 'end', finishReason: 'cancelled' });
});

test('a client that leaves a gRPC stream stops the engine', async () => {
  await using faces = await Faces.open();
  const stream = faces.grpcStream(requestOf());
  stream.on('error', () => {});
  await soon(() => expect(faces.worker.engine.requests).toHaveLength(1));
  stream.cancel();
  await soon(() => expect(faces.worker.engine.last.aborted).toBe(true));
  expect(faces.worker.admission.open).toBe(0);
});

test('a stream that is cut off ends without the last chunk, so that its reader knows', async () => {
  await using faces = await Faces.open();
  const { response } = faces.httpRequest(GENERATE, { body: body() });
  await soon(() => expect(faces.worker.engine.requests).toHaveLength(1));
  faces.worker.engine.last.start().say('a');
  const answer = await response;
  faces.worker.admission.cutAll();
  await expect(answer.toArray()).rejects.toThrow('aborted');
});

test('the places of finished responses are free again', async () => {
  await using faces = await Faces.open();
  faces.worker.engine.onSubmit = (running) => running.start().say('a').sink.end('stop');
  for (let i = 0; i < 3; i++) await faces.httpGenerate(requestOf());
  await faces.grpcGenerate(requestOf());
  await soon(() => expect(faces.worker.admission.open).toBe(0));
});

test('a gRPC-Web call says its failure in the trailer frame', async () => {
  await using faces = await Faces.open();
  const message = toBinary(GetArtifactRequestSchema, create(GetArtifactRequestSchema, { sha256: 'ff' }));
  const headers = { 'content-type': 'application/grpc-web+proto' };
  const framed = Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]);
  const unknown = await faces.http('/stator.v1.Worker/GetArtifact', { body: framed, headers });
  expect(unknown.status).toBe(200);
  expect(unknown.body[0]).toBe(0x80);
  expect(unknown.body.toString()).toContain('grpc-status:5\r\n');
  const truncated = await faces.http('/stator.v1.Worker/GetArtifact', {
    body: framed.subarray(0, 7),
    headers,
  });
  expect(truncated.body.toString()).toContain('x-stator-code:invalid_frame');
});

test('GET /metrics is Prometheus text', async () => {
  await using faces = await Faces.open();
  const answer = await faces.http('/metrics', { method: 'GET' });
  expect(answer.headers['content-type']).toBe('text/plain; version=0.0.4');
  expect(answer.body.toString()).toContain('# TYPE stator_worker_requests_total counter');
});
