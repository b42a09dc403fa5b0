/** A response that is not streamed: the text is collected and one JSON document comes at the end. */

import type { StatorError } from '../../durable/runtime/errors.ts';
import { Answer, type AnswerEnd } from './answer.ts';
import { DIALECTS } from './encoders/dialects.ts';
import { errorDocument } from './error-event.ts';
import type { ResponseFacts } from './facts.ts';
import type { Chunk, ResponseFold } from './response-fold.ts';
import type { TokenTexts } from './token-texts.ts';

export class DocumentResponse implements ResponseFold {
  readonly contentType = 'application/json';
  readonly failed = null;
  readonly #facts: ResponseFacts;
  readonly #answer: Answer;
  #text = '';
  #cachedTokens = 0;
  #done = false;

  constructor(facts: ResponseFacts, texts: TokenTexts) {
    this.#facts = facts;
    this.#answer = new Answer(texts, facts);
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
    return '';
  }

  push(id: number): string {
    this.#text += this.#answer.push(id);
    return this.#answer.ended === null ? '' : this.#document(this.#answer.ended);
  }

  finish(reason: AnswerEnd): string {
    this.#text += this.#answer.finish(reason);
    return this.#document(this.#answer.ended ?? reason);
  }

  fail(error: StatorError): string {
    this.#done = true;
    return errorDocument(error);
  }

  /** White space may stand before a JSON document. */
  keepAlive(): string {
    return ' ';
  }

  encode(text: string): Chunk {
    return text;
  }

  #document(reason: AnswerEnd): string {
    this.#done = true;
    const usage = {
      promptTokens: this.#facts.promptTokens,
      completionTokens: this.#answer.tokens,
      cachedTokens: this.#cachedTokens,
    };
    return DIALECTS[this.#facts.dialect].document(this.#facts, { text: this.#text, reason, usage });
  }
}
