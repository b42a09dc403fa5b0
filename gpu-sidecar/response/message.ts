/**
 * One choice's message as it grows: text becomes content, reasoning and calls of tools where the request asked for
 * that, and nothing but content otherwise. A stage of the fold: a function of the facts and the text.
 */

import type { AnswerEnd } from './answer.ts';
import type { ResponseFacts } from './facts.ts';
import { type ContentParser, type ContentPart, finishReason } from './parsers/parser.ts';
import { makeContentParser } from './parsers/registry.ts';

export class MessageParts {
  readonly #parser: ContentParser;
  readonly #oneCall: boolean;
  #calls = 0;
  #reasons = false;
  #reasoningTokens = 0;

  private constructor(parser: ContentParser, oneCall: boolean) {
    this.#parser = parser;
    this.#oneCall = oneCall;
  }

  /** null: all text is content. */
  static of(facts: ResponseFacts): MessageParts | null {
    const parser = facts.parsing === null ? null : makeContentParser(facts.parsing);
    return parser === null ? null : new MessageParts(parser, facts.oneToolCall);
  }

  push(text: string): ContentPart[] {
    return this.#wanted(this.#parser.push(text));
  }

  end(reason: AnswerEnd): ContentPart[] {
    return this.#wanted(this.#parser.end(reason));
  }

  /** Tokens after which the message was in its reasoning. */
  get reasoningTokens(): number {
    return this.#reasoningTokens;
  }

  /** A token has been pushed, with text or without. */
  counted(): void {
    if (this.#reasons) this.#reasoningTokens++;
  }

  /** Why the message ended, in the client's words. */
  reason(end: AnswerEnd): FinishReasonName {
    return finishReason(end, this.#calls);
  }

  /** Of several calls only the first, where more are not allowed. */
  #wanted(parts: ContentPart[]): ContentPart[] {
    const wanted = this.#oneCall ? parts.filter((part) => !('index' in part) || part.index === 0) : parts;
    for (const part of wanted) if (part.kind === 'tool_call') this.#calls++;
    const last = parts.at(-1);
    if (last !== undefined) this.#reasons = last.kind === 'reasoning';
    return wanted;
  }
}

/** Of all choices of a response. */
export const reasoningTokensOf = (choices: readonly { parts: MessageParts | null }[]): number =>
  choices.reduce((sum, { parts }) => sum + (parts?.reasoningTokens ?? 0), 0);

export type FinishReasonName = ReturnType<typeof finishReason>;

export interface WholeCall {
  id: string | undefined;
  name: string;
  arguments: string;
}

/** Parts put together: neighbours of one kind are one part. */
export class WholeMessage {
  readonly parts: ContentPart[] = [];

  get content(): string {
    return this.#textOf('content');
  }

  get reasoning(): string {
    return this.#textOf('reasoning');
  }

  get calls(): WholeCall[] {
    const calls: WholeCall[] = [];
    for (const part of this.parts) {
      if (part.kind === 'tool_call') calls[part.index] = { id: part.id, name: part.name, arguments: '' };
      else if (part.kind === 'tool_arguments') calls[part.index]!.arguments += part.text;
    }
    return calls;
  }

  text(text: string): void {
    const last = this.parts.at(-1);
    if (last?.kind === 'content') last.text += text;
    else if (text !== '') this.parts.push({ kind: 'content', text });
  }

  add(parts: readonly ContentPart[]): void {
    for (const part of parts) {
      const last = this.parts.at(-1);
      const goesOn = last?.kind === part.kind && 'text' in last && 'text' in part;
      if (goesOn && indexOf(last) === indexOf(part)) last.text += part.text;
      else this.parts.push({ ...part });
    }
  }

  #textOf(kind: 'content' | 'reasoning'): string {
    let text = '';
    for (const part of this.parts) if (part.kind === kind) text += part.text;
    return text;
  }
}

const indexOf = (part: ContentPart): number => ('index' in part ? part.index : 0);
