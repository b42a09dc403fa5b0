/** A response that is not streamed: the text of every choice is collected and one JSON document comes at the end. */

import type { StatorError } from '../../durable/runtime/errors.ts';
import type { TokenLogprobs } from '../engines/engine.ts';
import { Answer, type AnswerEnd } from './answer.ts';
import { type ChoiceTurns, endOfMarker } from './choice-turns.ts';
import { Choices } from './choices.ts';
import type { RecordedEnd, ResponseRecord, WholeAnswer } from './encoder.ts';
import { DIALECTS } from './encoders/dialects.ts';
import type { ResponseFacts } from './facts.ts';
import { type FinishReasonName, MessageParts, reasoningTokensOf, WholeMessage } from './message.ts';
import type { Chunk, ResponseFold } from './response-fold.ts';
import { TokenLog } from './token-log.ts';
import type { TokenTexts } from './token-texts.ts';

interface CollectedChoice {
  readonly answer: Answer;
  readonly log: TokenLog | null;
  readonly parts: MessageParts | null;
  readonly message: WholeMessage;
  reason: FinishReasonName;
}

export class DocumentResponse implements ResponseFold {
  readonly contentType = 'application/json';
  readonly failed = null;
  readonly #facts: ResponseFacts;
  readonly #texts: TokenTexts;
  readonly #choices: Choices<CollectedChoice>;
  #tokens = 0;
  #cachedTokens = 0;
  #reason: AnswerEnd | null = null;

  constructor(facts: ResponseFacts, texts: TokenTexts) {
    this.#facts = facts;
    this.#texts = texts;
    this.#choices = new Choices(facts.choices, () => {
      const log = facts.logprobs ? new TokenLog(texts) : null;
      const [answer, parts] = [new Answer(texts, facts), MessageParts.of(facts)];
      return { answer, log, parts, message: new WholeMessage(), reason: 'stop' };
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
    return '';
  }

  push(id: number, logprobs?: TokenLogprobs): string {
    if (this.turns !== null) {
      const end = endOfMarker(id);
      if (end !== null) return this.finish(end);
    }
    this.#tokens++;
    const choice = this.#choices.current;
    const text = choice.answer.push(id);
    add(choice, text);
    choice.log?.add(id, logprobs);
    choice.parts?.counted();
    if (choice.answer.ended !== null) {
      // A token that completes a stop string without any text of the answer is not part of it.
      if (text === '') choice.log?.drop();
      return this.#ending(choice.answer.ended);
    }
    this.#choices.took(id);
    return '';
  }

  finish(reason: AnswerEnd): string {
    const { answer } = this.#choices.current;
    add(this.#choices.current, answer.finish(reason));
    return this.#ending(answer.ended ?? reason);
  }

  fail(error: StatorError): string {
    this.#reason ??= 'stop';
    return this.record(error)?.document ?? DIALECTS[this.#facts.dialect].errorDocument(error);
  }

  record(end: RecordedEnd): ResponseRecord | null {
    return DIALECTS[this.#facts.dialect].record?.(this.#facts, end, this.#whole()) ?? null;
  }

  /** White space may stand before a JSON document. */
  keepAlive(): string {
    return ' ';
  }

  encode(text: string): Chunk {
    return text;
  }

  /** The choice whose turn it is has ended; with the last one comes the document. */
  #ending(reason: AnswerEnd): string {
    const { message, parts } = this.#choices.current;
    if (parts !== null) message.add(parts.end(reason));
    this.#choices.current.reason = parts?.reason(reason) ?? reason;
    if (this.#choices.ended()) return '';
    this.#reason = reason;
    return DIALECTS[this.#facts.dialect].document(this.#facts, this.#whole());
  }

  #whole(): WholeAnswer {
    const usage = {
      promptTokens: this.#facts.promptTokens,
      completionTokens: this.#tokens,
      reasoningTokens: reasoningTokensOf(this.#choices.all),
      cachedTokens: this.#cachedTokens,
    };
    const choices = this.#choices.all.map(({ answer, message, reason, log }) => ({
      message,
      reason,
      stopString: answer.stopString,
      logged: log?.all ?? null,
    }));
    return { choices, texts: this.#texts, usage };
  }
}

function add({ message, parts }: CollectedChoice, text: string): void {
  if (parts === null) message.text(text);
  else if (text !== '') message.add(parts.push(text));
}
