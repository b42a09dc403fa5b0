/**
 * The HTTP/1.1 face: `POST /stator.v1.Worker/<Method>` with the bare message or its JSON, and `GET /metrics`.
 *
 * This is the hot one: functions call it for every request. No URL objects, no JSON on the way of functions, one write out.
 * Every call wants the fleet token, which is checked before the body is read.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { toBinary } from '@bufbuild/protobuf';
import { StatorError, toStatorError } from '../../durable/runtime/errors.ts';
import { GenerateRequestSchema } from '../proto/gen/stator/v1/worker_pb.js';
import type { FleetTls } from '../tls/fleet-tls.ts';
import type { Bearer } from './bearer.ts';
import type { SinkObserver } from './byte-sink.ts';
import { decodeMessage } from './decode-message.ts';
import { frame, GRPC_WEB, unframe } from './grpc-web.ts';
import { readBody } from './http-body.ts';
import { writeHttpError } from './http-error.ts';
import { HttpSink } from './http-sink.ts';
import { isJsonType, jsonOfMessage, messageOfJson } from './json-message.ts';
import { generate } from './methods/generate.ts';
import { UNARY_METHODS, type UnaryMethod } from './methods/unary.ts';
import type { Worker } from './worker.ts';

const SERVICE = '/stator.v1.Worker/';
const GENERATE = `${SERVICE}Generate`;
const UNARY_BY_PATH: ReadonlyMap<string, UnaryMethod> = new Map(
  Object.entries(UNARY_METHODS).map(([name, method]) => [SERVICE + name, method]),
);

/** Not listening yet: the caller chooses the address. With `tls` whoever comes must show a certificate of the fleet. */
export function createHttpServer(worker: Worker, bearer: Bearer, tls: FleetTls | null = null): Server {
  const { limits } = worker;
  const options = {
    noDelay: true,
    keepAlive: true,
    keepAliveTimeout: limits.idleConnectionMs,
    headersTimeout: limits.requestHeadMs,
    requestTimeout: limits.requestBodyMs,
  };
  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    response.sendDate = false;
    if (!bearer.accepts(request.headers.authorization)) {
      const error = new StatorError('invalid_api_key', 'the fleet token is missing or wrong');
      writeHttpError(response, error, { close: true });
    } else if (request.url === GENERATE && request.method === 'POST') {
      serveGenerate(worker, request, response);
    } else serveOther(worker, request, response);
  };
  const server =
    tls === null
      ? createServer(options, serve)
      : createTlsServer({ ...options, ...tls, requestCert: true, rejectUnauthorized: true }, serve);
  server.maxConnections = limits.sidecarConnections;
  return server;
}

function serveGenerate(worker: Worker, request: IncomingMessage, response: ServerResponse): void {
  let call: SinkObserver | null = null;
  response.on('close', () => call?.closed());
  readBody(request, worker.limits.bodyBytes, (tooLarge, body) => {
    if (tooLarge !== null) {
      writeHttpError(response, tooLarge, { close: true });
      return;
    }
    try {
      const read = isJsonType(request.headers['content-type']) ? messageOfJson : decodeMessage;
      const message = read(GenerateRequestSchema, body);
      call = generate(worker, message, new HttpSink(response, worker.instanceId));
    } catch (thrown) {
      writeHttpError(response, toStatorError(thrown));
    }
  });
}

function serveOther(worker: Worker, request: IncomingMessage, response: ServerResponse): void {
  if (request.url === '/metrics' && request.method === 'GET') {
    const text = Buffer.from(worker.metrics.text());
    response.writeHead(200, [
      'content-type',
      'text/plain; version=0.0.4',
      'content-length',
      String(text.length),
    ]);
    response.end(text);
    return;
  }
  const method = UNARY_BY_PATH.get(request.url ?? '');
  if (method === undefined) {
    const known = request.url === '/metrics' || request.url === GENERATE;
    const code = known ? 'method_not_allowed' : 'not_found';
    writeHttpError(response, new StatorError(code, `${request.method} ${request.url}: no such method`), {
      close: true,
    });
  } else if (request.method !== 'POST') {
    const error = new StatorError('method_not_allowed', `${request.url}: only POST`);
    writeHttpError(response, error, { close: true });
  } else serveUnary(worker, method, request, response);
}

function serveUnary(
  worker: Worker,
  method: UnaryMethod,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const json = isJsonType(request.headers['content-type']);
  const web = request.headers['content-type']?.startsWith('application/grpc-web') ?? false;
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  readBody(request, worker.limits.bodyBytes, async (tooLarge, body) => {
    try {
      if (tooLarge !== null) throw tooLarge;
      const message = json
        ? messageOfJson(method.input, body)
        : decodeMessage(method.input, web ? unframe(body) : body);
      const result = await method.run(worker, message as never, gone.signal);
      const answer = json ? jsonOfMessage(method.output, result) : toBinary(method.output, result);
      const bytes = web ? frame(answer, null) : answer;
      const type = json ? 'application/json' : web ? GRPC_WEB : 'application/proto';
      response.writeHead(200, ['content-type', type, 'content-length', String(bytes.length)]);
      response.end(bytes);
    } catch (thrown) {
      const error = toStatorError(thrown);
      if (web) writeWebError(response, error);
      else writeHttpError(response, error, { close: tooLarge !== null });
    }
  });
}

/** gRPC-Web says its status in the trailer frame; the HTTP status is 200. */
function writeWebError(response: ServerResponse, error: StatorError): void {
  const bytes = frame(null, error);
  response.writeHead(200, ['content-type', GRPC_WEB, 'content-length', String(bytes.length)]);
  response.end(bytes);
}
