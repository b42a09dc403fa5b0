/**
 * Where a response's bytes go: HTTP/1.1 or native gRPC. Either `refuse`, or `head` and then writes up to an `end`;
 * `cut` may come at any time.
 */

import type { StatorError } from '../../durable/runtime/errors.ts';

export interface ResponseHead {
  contentType: string;
  requestId: string;
  /** Prompt tokens found in the cache; null while unknown. */
  cachedTokens: number | null;
  /** Set when the whole body is known. */
  lengthBytes: number | null;
}

export interface ByteSink {
  head(head: ResponseHead): void;
  /** False: full, wait for `drained` before the next write. */
  write(bytes: Buffer): boolean;
  end(bytes: Buffer | null): void;
  /** A status of its own, instead of a head. */
  refuse(error: StatorError): void;
  /** Breaks off in a way that the reader can tell from a proper end. */
  cut(): void;
}

/** What the transport tells the response. */
export interface SinkObserver {
  /** The reader is gone, or has everything. Exactly once. */
  closed(): void;
  /** Takes bytes again. */
  drained(): void;
}
