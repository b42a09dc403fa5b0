/**
 * A streamed response: tokens in, server-sent events out, each with the `id:` line that makes it resumable.
 *
 *     stream  = *( comment / event ) [ error ]
 *     event   = id-line "data: " payload LF LF      ; id-line: durable/runtime/event-id.ts
 *     comment = ": keep-alive" LF LF                ; only until the first token; not an event, not counted
 *     error   = "data: " payload LF LF              ; no id: the response failed and is over
 *
 * Events are numbered from 0 without gaps and say the ids of all tokens since the event before, so the ids of the
 * complete events are exactly the tokens behind them. One event per token that makes text certain, however many tokens
 * arrive at once: where events end is decided by the ids alone. A payload (JSON or `[DONE]`) holds no line feed.
 */

import type { StatorError } from '../../durable/runtime/errors.ts';
import { formatEventId } from '../../durable/runtime/event-id.ts';
import { Answer, type AnswerEnd } from './answer.ts';
import { EVENT_END, KEEP_ALIVE } from './comment.ts';
import type { ChunkEncoder } from './encoder.ts';
import { DIALECTS } from './encoders/dialects.ts';
import { errorEvent } from './error-event.ts';
import type { ResponseFacts } from './facts.ts';
import type { Chunk, ResponseFold } from './response-fold.ts';
import type { TokenTexts } from './token-texts.ts';

export class EventStream implements ResponseFold {
  readonly contentType = 'text/event-stream';
  readonly failed = null;
  readonly #facts: ResponseFacts;
  readonly #answer: Answer;
  readonly #encoder: ChunkEncoder;
  /** Tokens since the last event. */
  #heldIds: number[] = [];
  #events = 0;
  #cachedTokens = 0;
  #begun = false;
  #done = false;

  constructor(facts: ResponseFacts, texts: TokenTexts) {
    this.#facts = facts;
    this.#answer = new Answer(texts, facts);
    this.#encoder = DIALECTS[facts.dialect].chunks(facts);
  }

  get tokens(): number {
    return this.#answer.tokens;
  }

  get done(): boolean {
    return this.#done;
  }

  get reason(): AnswerEnd | null {
    return this.#answer.ended;
  }

  open(): string {
    return '';
  }

  started(cachedTokens: number): string {
    this.#cachedTokens = cachedTokens;
    if (this.#begun) return '';
    this.#begun = true;
    return this.#encoder.first === null ? '' : this.#event(this.#encoder.first);
  }

  push(id: number): string {
    this.#heldIds.push(id);
    const content = this.#content(this.#answer.push(id));
    return this.#answer.ended === null ? content : content + this.#ending(this.#answer.ended);
  }

  finish(reason: AnswerEnd): string {
    const content = this.#content(this.#answer.finish(reason));
    return content + this.#ending(this.#answer.ended ?? reason);
  }

  fail(error: StatorError): string {
    this.#done = true;
    return errorEvent(error);
  }

  keepAlive(): string {
    return KEEP_ALIVE;
  }

  encode(text: string): Chunk {
    return text;
  }

  #content(text: string): string {
    if (text === '') return '';
    return this.#event(this.#encoder.head + JSON.stringify(text) + this.#encoder.tail);
  }

  #ending(reason: AnswerEnd): string {
    this.#done = true;
    let events = this.#event(this.#encoder.finish(reason));
    if (this.#facts.includeUsage) {
      const usage = {
        promptTokens: this.#facts.promptTokens,
        completionTokens: this.#answer.tokens,
        cachedTokens: this.#cachedTokens,
      };
      events += this.#event(this.#encoder.usage(usage));
    }
    return events + this.#event('[DONE]');
  }

  #event(payload: string): string {
    const event = `${formatEventId(this.#events, this.#heldIds)}data: ${payload}${EVENT_END}`;
    this.#events++;
    if (this.#heldIds.length > 0) this.#heldIds = [];
    return event;
  }
}
