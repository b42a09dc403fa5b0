/**
 * A Generate response over HTTP/1.1: the bytes are the body. A response that is complete when its head goes out has
 * a content-length; the others are chunked, so that the reader can tell a lost worker from the end.
 */

import type { ServerResponse } from 'node:http';
import type { StatorError } from '../../durable/runtime/errors.ts';
import type { Chunk } from '../response/response-fold.ts';
import type { ByteSink, ResponseHead } from './byte-sink.ts';
import { writeHttpError } from './http-error.ts';

export class HttpSink implements ByteSink {
  readonly #response: ServerResponse;
  readonly #instanceId: string;

  constructor(response: ServerResponse, instanceId: string) {
    this.#response = response;
    this.#instanceId = instanceId;
  }

  head(head: ResponseHead): void {
    // An explicit `connection` keeps Node from adding `keep-alive`, which would reach the client.
    const headers = ['connection', 'keep-alive'];
    for (const [name, value] of responseHeaders(head, this.#instanceId)) headers.push(name, value);
    this.#response.writeHead(200, headers);
  }

  flushHead(): void {
    this.#response.flushHeaders();
  }

  write(chunk: Chunk): boolean {
    return this.#response.write(chunk);
  }

  whenDrained(run: () => void): void {
    this.#response.once('drain', run);
  }

  end(chunk: Chunk): void {
    this.#response.end(chunk);
  }

  refuse(error: StatorError): void {
    writeHttpError(this.#response, error);
  }

  cut(): void {
    this.#response.destroy();
  }
}

/** What the head of an answer says, whatever carries it. */
export function responseHeaders(head: ResponseHead, instanceId: string): [string, string][] {
  const headers: [string, string][] = [
    ['content-type', head.contentType],
    ['x-request-id', head.requestId],
    ['x-stator-worker', instanceId],
  ];
  if (head.cachedTokens !== null) headers.push(['x-stator-cached-tokens', String(head.cachedTokens)]);
  if (head.prefilledBy) headers.push(['x-stator-prefill-worker', head.prefilledBy]);
  if (head.prefillFailed) headers.push(['x-stator-prefill-failed', head.prefillFailed]);
  if (head.lengthBytes !== null) headers.push(['content-length', String(head.lengthBytes)]);
  return headers;
}
