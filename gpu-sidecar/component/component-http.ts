/**
 * A component over HTTP/1.1: `POST /stator.v1.Component/<endpoint>` with JSON or bytes, `GET /health`, `GET /metrics`; all want the
 * fleet token. One answer is JSON (or bytes); a stream is server-sent events, or NDJSON where the caller accepts that:
 *
 *     data: <item>            {"data":<item>}
 *     event: error            {"error":{…}}
 *     data: {"error":{…}}
 *     data: [DONE]            {"event":"done"}
 *
 * A stream without its last line has broken off. Streams of bytes are the body as it is.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { StatorError, toStatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import type { Metrics } from '../../durable/runtime/metrics.ts';
import type { Bearer } from '../server/bearer.ts';
import { readBody } from '../server/http-body.ts';
import { writeHttpError } from '../server/http-error.ts';
import { isJsonType } from '../server/json-message.ts';
import type { FleetTls } from '../tls/fleet-tls.ts';
import type { Answer, Item } from './answer.ts';
import { type CallHost, itemsOf, RunningCall } from './running-call.ts';

export const COMPONENT_SERVICE = '/stator.v1.Component/';
const NDJSON = 'application/x-ndjson';
const CREDENTIALS = new Set(['authorization', 'x-api-key', 'cookie']);

/** How a stream is written. */
interface StreamForm {
  type: string;
  item(item: Item): Item;
  error(error: StatorError): string | null;
  end: string | null;
}

const SSE: StreamForm = {
  type: 'text/event-stream',
  item: (item) => `data: ${String(item)}\n\n`,
  error: (error) => `event: error\ndata: ${JSON.stringify(error.toOpenAi())}\n\n`,
  end: 'data: [DONE]\n\n',
};
const LINES: StreamForm = {
  type: NDJSON,
  item: (item) => `{"data":${String(item)}}\n`,
  error: (error) => `${JSON.stringify(error.toOpenAi())}\n`,
  end: '{"event":"done"}\n',
};
/** The connection breaks in place of an error. */
const BYTES: StreamForm = {
  type: 'application/octet-stream',
  item: (item) => item,
  error: () => null,
  end: null,
};

/** Not listening yet. */
export function createComponentHttp(
  host: CallHost,
  { bearer, metrics, tls }: { bearer: Bearer; metrics: Metrics; tls: FleetTls | null },
): Server {
  const options = {
    noDelay: true,
    keepAliveTimeout: LIMITS.idleConnectionMs,
    headersTimeout: LIMITS.requestHeadMs,
    requestTimeout: LIMITS.requestBodyMs,
  };
  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    const { method, url = '' } = request;
    if (!bearer.accepts(request.headers.authorization)) {
      refuse(response, new StatorError('invalid_api_key', 'the fleet token is missing or wrong'));
    } else if (method === 'GET' && url === '/metrics') {
      response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(metrics.text());
    } else if (method === 'GET' && url === '/health') {
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"status":"ok"}');
    } else if (!url.startsWith(COMPONENT_SERVICE)) {
      refuse(response, new StatorError('not_found', `${method} ${url}: no such method`));
    } else if (method !== 'POST') {
      refuse(response, new StatorError('method_not_allowed', `${url}: only POST`));
    } else serveCall(host, request, response);
  };
  const server =
    tls === null
      ? createServer(options, serve)
      : createTlsServer({ ...options, ...tls, requestCert: true, rejectUnauthorized: true }, serve);
  server.maxConnections = LIMITS.sidecarConnections;
  return server;
}

function serveCall(host: CallHost, request: IncomingMessage, response: ServerResponse): void {
  let call: RunningCall | null = null;
  response.on('close', () => call?.end());
  readBody(request, LIMITS.bodyBytes, async (tooLarge, body) => {
    try {
      if (tooLarge !== null) throw tooLarge;
      const { headers, url = '' } = request;
      const plain = Object.entries(headers).filter(([name]) => !CREDENTIALS.has(name));
      call = new RunningCall(host, {
        endpoint: decodeURIComponent(url.slice(COMPONENT_SERVICE.length)),
        input: inputOf(headers['content-type'], body),
        headers: Object.fromEntries(plain.map(([name, value]) => [name, String(value)])),
        requestId: String(headers['x-request-id'] ?? ''),
        timeoutMs: timeoutOf(headers['x-stator-timeout-ms']),
      });
      // The caller may have left while its body was read.
      if (response.destroyed) call.end();
      await writeAnswer(response, await call.answer(), headers.accept ?? '');
      call.done();
    } catch (thrown) {
      const error = toStatorError(thrown);
      if (!response.headersSent) writeHttpError(response, error, { close: tooLarge !== null });
      else response.destroy();
    }
  });
}

async function writeAnswer(response: ServerResponse, answer: Answer, accept: string): Promise<void> {
  if (answer.kind === 'one') {
    const { item } = answer;
    const type = typeof item === 'string' ? 'application/json' : BYTES.type;
    response.writeHead(200, { 'content-type': type, 'content-length': Buffer.byteLength(item) });
    response.end(item);
    return;
  }
  const form = answer.first instanceof Uint8Array ? BYTES : accept.includes(NDJSON) ? LINES : SSE;
  response.writeHead(200, { 'content-type': form.type, 'cache-control': 'no-cache' });
  try {
    for await (const item of itemsOf(answer)) await written(response, form.item(item));
    response.end(form.end ?? undefined);
  } catch (thrown) {
    const said = form.error(toStatorError(thrown));
    if (said === null) throw thrown;
    response.end(said);
  }
}

/** At the reader's pace. */
function written(response: ServerResponse, item: Item): Promise<void> | void {
  if (response.destroyed || response.write(item)) return;
  return new Promise((resolve) => {
    response.once('drain', resolve);
    response.once('close', resolve);
  });
}

/** What is not said to be something else is JSON. Throws `invalid_json`. */
export function inputOf(type: string | undefined, body: Buffer): unknown {
  if (type !== undefined && type !== '' && !isJsonType(type)) return new Uint8Array(body);
  if (body.length === 0) return null;
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw new StatorError('invalid_json', `the body is not JSON: ${(cause as Error).message}`, { cause });
  }
}

function timeoutOf(said: string | string[] | undefined): number | null {
  if (said === undefined) return null;
  if (/^[1-9]\d{0,8}$/.test(String(said))) return Number(said);
  throw new StatorError('invalid_request', 'x-stator-timeout-ms must be a whole number of milliseconds');
}

const refuse = (response: ServerResponse, error: StatorError) =>
  writeHttpError(response, error, { close: true });
