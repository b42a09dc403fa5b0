/**
 * A Generate response as numbered messages to an inbox (durable/runtime/nats/request-wire.ts). Bytes that its reader has not
 * taken are bounded: then the response waits, as it would for a full socket. Sent bytes are the server's.
 */

import type { StatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import {
  encodeHead,
  encodeMessage,
  MESSAGE,
  type MessageKind,
} from '../../durable/runtime/nats/request-wire.ts';
import type { Chunk } from '../response/response-fold.ts';
import type { ByteSink, ResponseHead } from '../server/byte-sink.ts';
import { httpErrorHead } from '../server/http-error.ts';
import { responseHeaders } from '../server/http-sink.ts';

const NOTHING = new Uint8Array(0);

export interface NatsSinkOptions {
  instanceId: string;
  send: (message: Uint8Array) => void;
  /** All is said. */
  over: () => void;
  nowMs: () => number;
}

export class NatsSink implements ByteSink {
  readonly #options: NatsSinkOptions;
  #number = 0;
  #sentBytes = 0;
  #takenBytes = 0;
  #drained: (() => void) | null = null;
  #over = false;
  /** When the reader last got something, and was last heard of. */
  sentMs: number;
  heardMs: number;

  constructor(options: NatsSinkOptions) {
    this.#options = options;
    this.sentMs = options.nowMs();
    this.heardMs = this.sentMs;
    this.alive();
  }

  head(head: ResponseHead): void {
    this.#send(
      MESSAGE.head,
      encodeHead({ status: 200, headers: responseHeaders(head, this.#options.instanceId) }),
    );
  }

  flushHead(): void {
    // Every message goes at once.
  }

  write(chunk: Chunk): boolean {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    for (let at = 0; at < bytes.length; at += LIMITS.planeMessageBytes) {
      this.#send(MESSAGE.body, bytes.subarray(at, at + LIMITS.planeMessageBytes));
    }
    this.#sentBytes += bytes.length;
    return !this.#isFull;
  }

  whenDrained(run: () => void): void {
    this.#drained = run;
    this.#drain();
  }

  end(chunk: Chunk): void {
    if (chunk.length > 0) this.write(chunk);
    this.#last(MESSAGE.end);
  }

  refuse(error: StatorError): void {
    const { body, headers } = httpErrorHead(error);
    this.#send(MESSAGE.head, encodeHead({ status: error.httpStatus, headers }));
    this.#send(MESSAGE.body, body);
    this.#last(MESSAGE.end);
  }

  cut(): void {
    this.#last(MESSAGE.cut);
  }

  /** The reader has so many bytes of the answer. */
  taken(bytes: number): void {
    this.#takenBytes = Math.max(this.#takenBytes, bytes);
    this.#drain();
  }

  /** Nothing to say, but here. */
  alive(): void {
    this.#send(MESSAGE.alive, NOTHING);
  }

  get #isFull(): boolean {
    return this.#sentBytes - this.#takenBytes > LIMITS.planeWindowBytes;
  }

  #drain(): void {
    const run = this.#drained;
    if (run === null || this.#isFull) return;
    this.#drained = null;
    run();
  }

  #last(kind: MessageKind): void {
    if (this.#over) return;
    this.#send(kind, NOTHING);
    this.#over = true;
    this.#options.over();
  }

  #send(kind: MessageKind, bytes: Uint8Array): void {
    if (this.#over) return;
    this.sentMs = this.#options.nowMs();
    this.#options.send(encodeMessage(kind, this.#number++, bytes));
  }
}
