/** Reads a request body, bounded: `body_too_large` as soon as it is announced or seen to be so. */

import type { IncomingMessage } from 'node:http';
import { StatorError } from '../../durable/runtime/errors.ts';

export type BodyTaken = (error: StatorError | null, body: Buffer) => void;

const EMPTY = Buffer.alloc(0);

/** Calls `taken` once; not at all when the connection breaks first (the response's `close` tells). */
export function readBody(request: IncomingMessage, limitBytes: number, taken: BodyTaken): void {
  if (Number(request.headers['content-length'] ?? 0) > limitBytes) {
    taken(tooLarge(limitBytes), EMPTY);
    return;
  }
  let first: Buffer | null = null;
  let more: Buffer[] | null = null;
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > limitBytes) {
      request.removeAllListeners('data');
      request.removeAllListeners('end');
      request.pause();
      taken(tooLarge(limitBytes), EMPTY);
    } else if (first === null) first = chunk;
    else if (more === null) more = [first, chunk];
    else more.push(chunk);
  });
  request.on('end', () => taken(null, more === null ? (first ?? EMPTY) : Buffer.concat(more)));
}

const tooLarge = (limitBytes: number): StatorError =>
  new StatorError('body_too_large', `the body is larger than ${limitBytes} bytes`);
