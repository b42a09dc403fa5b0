/**
 * Continues a stream that another worker began, without a byte missing or sent twice.
 *
 * The break falls inside an event. The old tokens are folded silently; events that the client has are dropped; the
 * interrupted one is written again, compared with the part that the client has, and sent from the first missing byte
 * on. When the comparison fails the engine did not repeat itself: the stream ends with an error event, because a
 * wrong continuation is worse than none.
 */

import { StatorError } from '../../durable/runtime/errors.ts';
import { parseEventId } from '../../durable/runtime/event-id.ts';
import type { TokenLogprobs } from '../engines/engine.ts';
import type { AnswerEnd } from './answer.ts';
import type { ChoiceTurns } from './choice-turns.ts';
import { EVENT_END, KEEP_ALIVE } from './comment.ts';
import type { RecordedEnd, ResponseRecord } from './encoder.ts';
import type { EventStream } from './event-stream.ts';
import type { Chunk, ResponseFold } from './response-fold.ts';

/** Where the client's copy of the stream ends. */
export interface ResumePoint {
  /** Tokens of the complete events. */
  tokenIds: Uint32Array;
  /** Complete events. */
  events: number;
  /** The bytes after the last complete event or comment. */
  partial: Uint8Array;
  /** What the first worker put into the usage; null when nobody knows. */
  cachedTokens: number | null;
}

const NOTHING = Buffer.alloc(0);

export class ResumedStream implements ResponseFold {
  readonly #stream: EventStream;
  readonly #point: ResumePoint;
  readonly #cachedTokens: number | null;
  #partial: Buffer;
  #opening = '';
  #eventsSeen = 0;
  #tokensSeen = 0;
  /** The rest of a character whose first bytes the client has. */
  #splitCharacter: Buffer = NOTHING;
  #failed: StatorError | null = null;

  constructor(stream: EventStream, point: ResumePoint) {
    this.#stream = stream;
    this.#point = point;
    this.#partial = Buffer.from(point.partial);
    this.#cachedTokens = point.cachedTokens ?? cachedTokensIn(this.#partial);
    if (this.#partial[0] === 0x3a) this.#completeComment();
    this.#replay();
  }

  get contentType(): string {
    return this.#stream.contentType;
  }

  get tokens(): number {
    return this.#stream.tokens;
  }

  get done(): boolean {
    return this.#failed !== null || this.#stream.done;
  }

  get failed(): StatorError | null {
    return this.#failed;
  }

  get turns(): ChoiceTurns | null {
    return this.#stream.turns;
  }

  get reason(): AnswerEnd | null {
    return this.#stream.reason;
  }

  open(): string {
    return this.#opening;
  }

  started(cachedTokens: number): string {
    return this.#missing(this.#stream.started(this.#cachedTokens ?? cachedTokens));
  }

  push(id: number, logprobs?: TokenLogprobs): string {
    return this.#missing(this.#stream.push(id, logprobs));
  }

  finish(reason: AnswerEnd): string {
    return this.#missing(this.#stream.finish(reason));
  }

  /** Half an event is closed first, so that the error is not part of it. */
  fail(error: StatorError): string {
    const separator = this.#partial.length === 0 ? '' : EVENT_END;
    return separator + this.#stream.fail(error);
  }

  record(end: RecordedEnd): ResponseRecord | null {
    return this.#stream.record(end);
  }

  /** Inside an event nothing else may be written. */
  keepAlive(): string {
    return this.#partial.length === 0 ? this.#stream.keepAlive() : '';
  }

  encode(text: string): Chunk {
    if (this.#splitCharacter.length === 0) return text;
    const whole = Buffer.concat([this.#splitCharacter, Buffer.from(text)]);
    this.#splitCharacter = NOTHING;
    return whole;
  }

  #completeComment(): void {
    const comment = Buffer.from(KEEP_ALIVE);
    if (!comment.subarray(0, this.#partial.length).equals(this.#partial)) {
      this.#opening = this.#diverged();
      return;
    }
    this.#opening = comment.toString('utf8', this.#partial.length);
    this.#partial = NOTHING;
  }

  #replay(): void {
    const { tokenIds } = this.#point;
    // The first event may name the cached tokens: then it waits until somebody knows them.
    if (this.#point.events === 0 && this.#cachedTokens === null) return;
    let events = this.#stream.started(this.#cachedTokens ?? 0);
    for (let i = 0; i < tokenIds.length && !this.#stream.done; i++) events += this.#stream.push(tokenIds[i]!);
    this.#opening += this.#missing(events);
  }

  /** The part of these events that the client does not have. */
  #missing(events: string): string {
    if (this.#failed !== null) return '';
    let missing = '';
    let from = 0;
    while (from < events.length) {
      if (this.#eventsSeen >= this.#point.events && this.#partial.length === 0)
        return missing + events.slice(from);
      const end = events.indexOf(EVENT_END, from) + EVENT_END.length;
      const event = events.slice(from, end);
      missing += this.#eventsSeen < this.#point.events ? this.#drop(event) : this.#complete(event);
      if (this.#failed !== null) return missing;
      from = end;
    }
    return missing;
  }

  /** An event that the client has can only hold tokens that it has. */
  #drop(event: string): string {
    this.#eventsSeen++;
    this.#tokensSeen += parseEventId(event.slice('id: '.length, event.indexOf('\n')))?.tokenIds.length ?? 0;
    return this.#tokensSeen > this.#point.tokenIds.length ? this.#diverged() : '';
  }

  #complete(event: string): string {
    const bytes = Buffer.from(event);
    const known = this.#partial.length;
    if (known >= bytes.length || !bytes.subarray(0, known).equals(this.#partial)) return this.#diverged();
    this.#partial = NOTHING;
    let boundary = known;
    while ((bytes[boundary]! & 0xc0) === 0x80) boundary++;
    this.#splitCharacter = bytes.subarray(known, boundary);
    return bytes.toString('utf8', boundary);
  }

  #diverged(): string {
    this.#failed = new StatorError(
      'migration_exhausted',
      'the worker was lost, and another one could not continue the response exactly',
    );
    return this.fail(this.#failed);
  }
}

const CACHED_TOKENS = /"(?:(?:prompt|input)_tokens_details":\{"cached_tokens|cache_read_input_tokens)":(\d+)/;

/** An interrupted event with the usage names the first worker's cached tokens, perhaps without the last digits. */
function cachedTokensIn(partial: Buffer): number | null {
  const match = CACHED_TOKENS.exec(partial.toString('latin1'));
  return match === null ? null : Number(match[1]);
}
