/**
 * One answer that comes by NATS, as a Response whose body ends well only with the worker's end. A lost message, a silent
 * worker or one that cuts it off breaks the body, as a broken connection would: the function continues elsewhere. What the
 * reader has taken is told to the worker, so at most a window of bytes is on the way.
 */

import { StatorError } from '../runtime/errors.ts';
import { LIMITS } from '../runtime/limits.ts';
import {
  type AnswerHead,
  type Control,
  decodeHead,
  decodeMessage,
  MESSAGE,
} from '../runtime/nats/request-wire.ts';

export interface AnswerOptions {
  id: string;
  worker: string;
  /** Said to the worker. */
  control: (control: Control) => void;
  /** Nothing more comes or is wanted. */
  over: () => void;
  nowMs: number;
}

export class Answer {
  readonly id: string;
  readonly worker: string;
  readonly #options: AnswerOptions;
  readonly #response = Promise.withResolvers<Response>();
  #next = 0;
  #head: AnswerHead | null = null;
  /** Of a short answer, which is had whole. */
  #whole: Uint8Array[] | null = null;
  #writer: WritableStreamDefaultWriter<Uint8Array> | null = null;
  #takenBytes = 0;
  #toldBytes = 0;
  #over = false;
  #heardMs: number;
  #suspectMs: number | null = null;

  constructor(options: AnswerOptions) {
    this.id = options.id;
    this.worker = options.worker;
    this.#options = options;
    this.#heardMs = options.nowMs;
    this.#response.promise.catch(() => {});
  }

  /** Rejects with `worker_unavailable` when no head comes. */
  get response(): Promise<Response> {
    return this.#response.promise;
  }

  get ack(): Control {
    return { kind: 'ack', id: this.id, bytes: this.#takenBytes };
  }

  receive(data: Uint8Array, nowMs: number): void {
    if (this.#over) return;
    this.#heardMs = nowMs;
    this.#suspectMs = null;
    try {
      const { bytes, kind, number } = decodeMessage(data);
      if (number < this.#next) return;
      if (number > this.#next) throw lost(`${number - this.#next} messages of the answer were lost`);
      this.#next++;
      if (kind === MESSAGE.head) this.#begin(decodeHead(bytes));
      else if (kind === MESSAGE.body) this.#body(bytes);
      else if (kind === MESSAGE.end) this.#finish();
      else if (kind === MESSAGE.cut) throw lost('the worker cut the answer off');
    } catch (thrown) {
      this.fail(thrown as StatorError);
    }
  }

  /** The worker may be gone. */
  suspect(nowMs: number): void {
    if (this.#over) return;
    this.#suspectMs ??= nowMs;
    this.#options.control({ kind: 'ping', id: this.id });
  }

  tick(nowMs: number): void {
    const suspectFor = this.#suspectMs === null ? 0 : nowMs - this.#suspectMs;
    if (suspectFor > LIMITS.planeSuspectMs) this.fail(lost('the worker is gone'));
    else if (nowMs - this.#heardMs > LIMITS.planeSilenceMs) this.fail(lost('the worker is silent'));
  }

  fail(error: StatorError): void {
    if (this.#over) return;
    this.#cancel();
    this.#response.reject(error);
    this.#writer?.abort(error).catch(() => {});
  }

  /** The function, or its client, wants no more. */
  abandon(): void {
    if (this.#over) return;
    this.#cancel();
    this.#response.reject(new StatorError('cancelled', 'nobody wants the answer any more'));
  }

  #begin(head: AnswerHead): void {
    this.#head = head;
    const length = Number(head.headers.find(([name]) => name === 'content-length')?.[1] ?? Number.NaN);
    if (length <= LIMITS.wholeDocumentBytes) {
      this.#whole = [];
      return;
    }
    const { readable, writable } = new IdentityTransformStream();
    this.#writer = writable.getWriter();
    // Its length is the stream's own affair.
    const headers = head.headers.filter(([name]) => name !== 'content-length');
    this.#response.resolve(new Response(readable, { status: head.status, headers }));
  }

  #body(bytes: Uint8Array): void {
    if (this.#whole !== null) this.#whole.push(bytes.slice());
    else if (this.#writer === null) throw lost('the answer has no head');
    else void this.#write(this.#writer, bytes.slice());
  }

  async #write(writer: WritableStreamDefaultWriter<Uint8Array>, bytes: Uint8Array): Promise<void> {
    try {
      await writer.write(bytes);
    } catch {
      this.abandon();
      return;
    }
    this.#takenBytes += bytes.length;
    if (this.#over || this.#takenBytes - this.#toldBytes < LIMITS.planeAckBytes) return;
    this.#toldBytes = this.#takenBytes;
    this.#options.control(this.ack);
  }

  #finish(): void {
    if (this.#head === null) throw lost('the answer has no head');
    this.#over = true;
    if (this.#whole === null) this.#writer?.close().catch(() => {});
    else {
      const { headers, status } = this.#head;
      this.#response.resolve(new Response(joined(this.#whole), { status, headers }));
    }
    this.#options.over();
  }

  #cancel(): void {
    this.#over = true;
    this.#options.control({ kind: 'cancel', id: this.id });
    this.#options.over();
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const lost = (what: string) => new StatorError('worker_unavailable', `By NATS: ${what}.`);
