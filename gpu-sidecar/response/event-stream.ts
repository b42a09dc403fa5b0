/**
 * A streamed response: tokens in, server-sent events out, each with the `id:` line that makes it resumable.
 *
 *     stream  = *( comment / event ) [ error ]
 *     event   = id-line lines LF LF                 ; id-line: durable/runtime/event-id.ts
 *     lines   = [ "event: " name LF ] "data: " payload
 *     comment = ": keep-alive" LF LF                ; only until the first token; not an event, not counted
 *     error   = lines LF LF                         ; no id: the response failed and is over
 *
 * Events are numbered from 0 without gaps and say the ids of all tokens since the event before, so the ids of the
 * complete events are exactly the tokens behind them. Each token that makes text certain makes events (with log
 * probabilities: each token), however many tokens arrive at once: where events end is decided by the ids alone. A payload
 * (JSON or `[DONE]`) holds no line feed. Several choices take turns (`choice-turns.ts`) in one sequence of events.
 */

import type { StatorError } from '../../durable/runtime/errors.ts';
import { formatEventId } from '../../durable/runtime/event-id.ts';
import type { TokenLogprobs } from '../engines/engine.ts';
import { Answer, type AnswerEnd } from './answer.ts';
import { type ChoiceTurns, endOfMarker } from './choice-turns.ts';
import { Choices } from './choices.ts';
import { EVENT_END, KEEP_ALIVE } from './comment.ts';
import type { ChunkEncoder, EventLines, RecordedEnd, ResponseRecord } from './encoder.ts';
import { DIALECTS } from './encoders/dialects.ts';
import type { ResponseFacts } from './facts.ts';
import { MessageParts, reasoningTokensOf } from './message.ts';
import type { ContentPart } from './parsers/parser.ts';
import type { Chunk, ResponseFold } from './response-fold.ts';
import { TokenLog } from './token-log.ts';
import type { TokenTexts } from './token-texts.ts';
import type { Usage } from './usage.ts';

interface StreamedChoice {
  readonly answer: Answer;
  readonly encoder: ChunkEncoder;
  /** null: nobody asked. */
  readonly log: TokenLog | null;
  /** null: all text is content. */
  readonly parts: MessageParts | null;
}

export class EventStream implements ResponseFold {
  readonly contentType = 'text/event-stream';
  readonly failed = null;
  readonly #facts: ResponseFacts;
  readonly #texts: TokenTexts;
  readonly #choices: Choices<StreamedChoice>;
  /** Tokens since the last event. */
  #heldIds: number[] = [];
  #tokens = 0;
  /** Events so far. */
  #count = 0;
  #cachedTokens = 0;
  #begun = false;
  #reason: AnswerEnd | null = null;

  constructor(facts: ResponseFacts, texts: TokenTexts) {
    this.#facts = facts;
    this.#texts = texts;
    const { chunks } = DIALECTS[facts.dialect];
    this.#choices = new Choices(facts.choices, (index) => {
      const log = facts.logprobs ? new TokenLog(texts) : null;
      const [answer, parts] = [new Answer(texts, facts), MessageParts.of(facts)];
      return { answer, encoder: chunks(facts, index), log, parts };
    });
  }

  get turns(): ChoiceTurns | null {
    return this.#choices.turns;
  }

  get tokens(): number {
    return this.#tokens;
  }

  get done(): boolean {
    return this.#reason !== null;
  }

  get reason(): AnswerEnd | null {
    return this.#reason;
  }

  open(): string {
    return '';
  }

  started(cachedTokens: number): string {
    this.#cachedTokens = cachedTokens;
    if (this.#begun) return '';
    this.#begun = true;
    let events = '';
    for (const { encoder } of this.#choices.all) events += this.#events(encoder.begin(cachedTokens));
    return events;
  }

  push(id: number, logprobs?: TokenLogprobs): string {
    this.#heldIds.push(id);
    if (this.turns !== null) {
      const end = endOfMarker(id);
      if (end !== null) return this.finish(end);
    }
    this.#tokens++;
    const { answer, log } = this.#choices.current;
    const text = answer.push(id);
    const content = log === null ? this.#content(text) : this.#logged(log, { id, text, logprobs });
    this.#choices.current.parts?.counted();
    if (answer.ended !== null) return content + this.#ending(answer.ended);
    this.#choices.took(id);
    return content;
  }

  finish(reason: AnswerEnd): string {
    const { answer } = this.#choices.current;
    const content = this.#content(answer.finish(reason));
    return content + this.#ending(answer.ended ?? reason);
  }

  fail(error: StatorError): string {
    this.#reason ??= 'stop';
    const lines =
      this.#choices.current.encoder.failed?.(error, this.#usage()) ??
      DIALECTS[this.#facts.dialect].errorLines(error, this.#count);
    return lines + EVENT_END;
  }

  record(end: RecordedEnd): ResponseRecord | null {
    return this.#choices.current.encoder.record?.(end, this.#usage()) ?? null;
  }

  keepAlive(): string {
    return KEEP_ALIVE;
  }

  encode(text: string): Chunk {
    return text;
  }

  #content(text: string): string {
    if (text === '') return '';
    const { encoder, parts } = this.#choices.current;
    if (parts !== null) return this.#parts(parts.push(text));
    return this.#events(encoder.text(text));
  }

  #parts(parts: readonly ContentPart[]): string {
    let events = '';
    for (const part of parts) events += this.#events(this.#choices.current.encoder.part(part));
    return events;
  }

  /** A token that completes a stop string without any text of the answer is not part of it. */
  #logged(log: TokenLog, token: { id: number; text: string; logprobs: TokenLogprobs | undefined }): string {
    log.add(token.id, token.logprobs);
    const tokens = log.take();
    const { answer, encoder, parts } = this.#choices.current;
    if (token.text === '' && answer.ended !== null) return '';
    if (parts === null) return this.#events(encoder.logged(token.text, tokens, this.#texts));
    const made = parts.push(token.text);
    const others = this.#parts(made.filter(({ kind }) => kind !== 'content'));
    const content = made.map((part) => (part.kind === 'content' ? part.text : '')).join('');
    return others + this.#events(encoder.logged(content, tokens, this.#texts));
  }

  /** The choice whose turn it is has ended, and the response with the last of them. */
  #ending(reason: AnswerEnd): string {
    const { answer, encoder, parts } = this.#choices.current;
    const rest = parts === null ? '' : this.#parts(parts.end(reason));
    const end = { reason: parts?.reason(reason) ?? reason, stopString: answer.stopString };
    const finish = rest + this.#events(encoder.finish(end));
    if (this.#choices.ended()) return finish;
    this.#reason = reason;
    return finish + this.#events(encoder.close(this.#usage()));
  }

  #usage(): Usage {
    return {
      promptTokens: this.#facts.promptTokens,
      completionTokens: this.#tokens,
      reasoningTokens: reasoningTokensOf(this.#choices.all),
      cachedTokens: this.#cachedTokens,
    };
  }

  #events(all: EventLines): string {
    let events = '';
    for (const lines of all) {
      events += formatEventId(this.#count, this.#heldIds) + lines + EVENT_END;
      this.#count++;
      if (this.#heldIds.length > 0) this.#heldIds = [];
    }
    return events;
  }
}
