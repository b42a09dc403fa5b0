/** A failure as an HTTP/1.1 response: status, code and gRPC status in headers, OpenAI's error body. */

import type { ServerResponse } from 'node:http';
import type { StatorError } from '../../durable/runtime/errors.ts';

/** Status, headers and body, whatever carries them. */
export function httpErrorHead(error: StatorError): { headers: [string, string][]; body: Buffer } {
  const body = Buffer.from(JSON.stringify(error.toOpenAi()));
  const headers: [string, string][] = [
    ['content-type', 'application/json'],
    ['content-length', String(body.length)],
    ['x-stator-code', error.code],
    ['grpc-status', String(error.grpcStatus)],
    ['grpc-message', encodeURIComponent(error.message.toWellFormed())],
  ];
  if (error.retryAfterS !== null) headers.push(['retry-after', String(error.retryAfterS)]);
  return { headers, body };
}

/** `close`: the connection cannot be used again (its body was not read). */
export function writeHttpError(response: ServerResponse, error: StatorError, { close = false } = {}): void {
  const { body, headers } = httpErrorHead(error);
  const flat = headers.flat();
  if (close) flat.push('connection', 'close');
  response.writeHead(error.httpStatus, flat);
  response.end(body);
}
