/**
 * Where a response's bytes go: HTTP/1.1 or native gRPC. Either `refuse`, or `head` and then writes up to an `end`;
 * `cut` may come at any time.
 */

import type { StatorError } from '../../durable/runtime/errors.ts';
import type { Chunk } from '../response/response-fold.ts';

export interface ResponseHead {
  contentType: string;
  requestId: string;
  /** Prompt tokens found in the cache; null while unknown. */
  cachedTokens: number | null;
  /** Instance of the worker that computed the prompt, and of the one that was asked and failed. */
  prefilledBy?: string;
  prefillFailed?: string;
  /** Set when the whole body is known. */
  lengthBytes: number | null;
}

export interface ByteSink {
  head(head: ResponseHead): void;
  /** Sends a head that nothing follows yet. */
  flushHead(): void;
  /** False: full, so the next write waits for `whenDrained`. */
  write(chunk: Chunk): boolean;
  whenDrained(run: () => void): void;
  end(chunk: Chunk): void;
  /** A status of its own, instead of a head. */
  refuse(error: StatorError): void;
  /** Breaks off in a way that the reader can tell from a proper end. */
  cut(): void;
}

/** What the transport tells the response. */
export interface SinkObserver {
  /** The reader is gone, or has everything. Exactly once. */
  closed(): void;
}
