/**
 * A closed-loop HTTP/1.1 load generator on raw sockets: `concurrency` keep-alive connections, each sends its next request
 * when the answer to the last one is complete. It parses only what it must (status, length, end of the chunks), so that
 * one Node thread drives several thousand requests a second beside the servers under test (about 35 µs each).
 */

import { connect, type Socket } from 'node:net';

export interface LoadOptions {
  host: string;
  port: number;
  path: string;
  concurrency: number;
  /** Requests to answer in all. */
  requests: number;
  headers: Readonly<Record<string, string>>;
  /** Body of request number `i`. */
  body(i: number): string;
  /** Count SSE events that carry `data: {`. */
  countEvents: boolean;
}

export interface LoadResult {
  ok: number;
  /** First few failed answers, as `status: body`. */
  errors: string[];
  failed: number;
  wallMs: number;
  latenciesMs: Float64Array;
  /** Milliseconds to the first body byte that is an event or document. */
  firstByteMs: Float64Array;
  events: number;
  /** Body of the last answer. */
  lastBody: string;
}

const MAX_ERRORS = 5;
const HEAD_END = Buffer.from('\r\n\r\n');
const CHUNKS_END = Buffer.from('0\r\n\r\n');
const EVENT = Buffer.from('data: {');

export function runLoad(options: LoadOptions): Promise<LoadResult> {
  return new Promise((resolve, reject) => {
    const run = new Run(options, resolve, reject);
    const connections = Math.min(options.concurrency, options.requests);
    for (let i = 0; i < connections; i++) new Connection(run);
  });
}

/** What the connections share: the next request, and the tallies. */
class Run {
  readonly options: LoadOptions;
  readonly head: string;
  readonly #latencies: Float64Array;
  readonly #firstBytes: Float64Array;
  readonly #started = performance.now();
  readonly #resolve: (result: LoadResult) => void;
  readonly #reject: (error: Error) => void;
  readonly #errors: string[] = [];
  #next = 0;
  #answered = 0;
  #ok = 0;
  #events = 0;
  #lastBody = '';

  constructor(options: LoadOptions, resolve: (result: LoadResult) => void, reject: (error: Error) => void) {
    this.options = options;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#latencies = new Float64Array(options.requests);
    this.#firstBytes = new Float64Array(options.requests);
    const lines = Object.entries(options.headers).map(([name, value]) => `${name}: ${value}\r\n`);
    this.head =
      `POST ${options.path} HTTP/1.1\r\nhost: ${options.host}:${options.port}\r\n` +
      `content-type: application/json\r\n${lines.join('')}content-length: `;
  }

  take(): number | null {
    return this.#next < this.options.requests ? this.#next++ : null;
  }

  answered(answer: {
    status: number;
    latencyMs: number;
    firstMs: number;
    events: number;
    body: string;
  }): void {
    this.#latencies[this.#answered] = answer.latencyMs;
    this.#firstBytes[this.#answered] = answer.firstMs;
    this.#answered += 1;
    this.#events += answer.events;
    this.#lastBody = answer.body;
    if (answer.status === 200) this.#ok += 1;
    else if (this.#errors.length < MAX_ERRORS)
      this.#errors.push(`${answer.status}: ${answer.body.slice(0, 300)}`);
    if (this.#answered === this.options.requests) this.#finish();
  }

  fail(error: Error): void {
    this.#reject(error);
  }

  #finish(): void {
    this.#resolve({
      ok: this.#ok,
      failed: this.#answered - this.#ok,
      errors: this.#errors,
      wallMs: performance.now() - this.#started,
      latenciesMs: this.#latencies.sort(),
      firstByteMs: this.#firstBytes.sort(),
      events: this.#events,
      lastBody: this.#lastBody,
    });
  }
}

class Connection {
  readonly #run: Run;
  readonly #socket: Socket;
  #sentMs = 0;
  #firstMs = 0;
  #head: string | null = null;
  #status = 0;
  /** Body bytes still missing when the length is known, else -1 for chunked. */
  #missing = -1;
  #chunked = false;
  #pending: Buffer = Buffer.alloc(0);
  #events = 0;
  #body: Buffer[] = [];
  #tail: Buffer = Buffer.alloc(0);

  constructor(run: Run) {
    this.#run = run;
    this.#socket = connect({ host: run.options.host, port: run.options.port, noDelay: true });
    this.#socket.on('connect', () => this.#send());
    this.#socket.on('data', (data) => this.#receive(data));
    this.#socket.on('error', (error) => run.fail(error));
    this.#socket.on('close', () => {
      if (this.#sentMs > 0) run.fail(new Error('the server closed a connection in the middle of an answer'));
    });
  }

  #send(): void {
    const number = this.#run.take();
    if (number === null) {
      this.#sentMs = 0;
      this.#socket.end();
      return;
    }
    this.#head = null;
    this.#pending = Buffer.alloc(0);
    this.#tail = Buffer.alloc(0);
    this.#body = [];
    this.#events = 0;
    this.#firstMs = 0;
    const body = this.#run.options.body(number);
    this.#sentMs = performance.now();
    this.#socket.write(`${this.#run.head}${Buffer.byteLength(body)}\r\n\r\n${body}`);
  }

  #receive(data: Buffer): void {
    if (this.#head !== null) {
      this.#receiveBody(data);
      return;
    }
    const all = this.#pending.length > 0 ? Buffer.concat([this.#pending, data]) : data;
    const end = all.indexOf(HEAD_END);
    if (end < 0) {
      this.#pending = all;
      return;
    }
    const head = all.toString('latin1', 0, end);
    this.#head = head;
    this.#status = Number(head.slice(9, 12));
    const length = /\r\ncontent-length: *(\d+)/i.exec(head);
    this.#missing = length ? Number(length[1]) : -1;
    this.#chunked = length === null;
    this.#receiveBody(all.subarray(end + HEAD_END.length));
  }

  #receiveBody(data: Buffer): void {
    if (data.length > 0 && this.#firstMs === 0) this.#firstMs = performance.now();
    if (this.#run.options.countEvents) this.#countEvents(data);
    else this.#body.push(data);
    if (this.#missing >= 0) {
      this.#missing -= data.length;
      if (this.#missing <= 0) this.#done();
      return;
    }
    const tail = this.#tail.length > 0 ? Buffer.concat([this.#tail, data]) : data;
    if (tail.length >= CHUNKS_END.length && tail.subarray(-CHUNKS_END.length).equals(CHUNKS_END))
      this.#done();
    else this.#tail = tail.subarray(-CHUNKS_END.length);
  }

  #countEvents(data: Buffer): void {
    for (let at = data.indexOf(EVENT); at >= 0; at = data.indexOf(EVENT, at + EVENT.length))
      this.#events += 1;
    if (this.#status !== 200) this.#body.push(data);
  }

  #done(): void {
    const now = performance.now();
    this.#run.answered({
      status: this.#status,
      latencyMs: now - this.#sentMs,
      firstMs: this.#firstMs - this.#sentMs,
      events: this.#events,
      body: this.#chunked ? dechunk(Buffer.concat(this.#body)) : Buffer.concat(this.#body).toString('utf8'),
    });
    this.#send();
  }
}

/** The text of a chunked body. */
function dechunk(body: Buffer): string {
  const parts: Buffer[] = [];
  for (let at = 0; at < body.length; ) {
    const lineEnd = body.indexOf('\r\n', at);
    const size = Number.parseInt(body.toString('latin1', at, lineEnd), 16);
    if (!(size > 0)) break;
    parts.push(body.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = lineEnd + 2 + size + 2;
  }
  return Buffer.concat(parts).toString('utf8');
}

/** The q-th quantile (0…1) of ascending values. */
export function quantile(sorted: Float64Array, q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}
