/**
 * The response path as a fold: (request facts, vocabulary) and token ids in, bytes (as text to be sent in UTF-8) out.
 *
 * Three forms of one interface: a stream (`event-stream.ts`), one document (`document.ts`), and a stream that
 * another worker began (`resumed-stream.ts`). None of them knows time, sockets or engines.
 */

import type { StatorError } from '../../durable/runtime/errors.ts';
import type { TokenLogprobs, Vocabulary } from '../engines/engine.ts';
import type { AnswerEnd } from './answer.ts';
import type { ChoiceTurns } from './choice-turns.ts';
import { DocumentResponse } from './document.ts';
import type { RecordedEnd, ResponseRecord } from './encoder.ts';
import { EventStream } from './event-stream.ts';
import type { ResponseFacts } from './facts.ts';
import { ResumedStream, type ResumePoint } from './resumed-stream.ts';
import { tokenTexts } from './token-texts.ts';

export interface ResponseFold {
  readonly contentType: string;
  /** Tokens of the answer so far, those of an earlier worker included. */
  readonly tokens: number;
  /** The response is complete: nothing may be pushed any more, and the engine has nothing left to do. */
  readonly done: boolean;
  /** Why the answer ended; null until it did. */
  readonly reason: AnswerEnd | null;
  /** Set when the response cannot go on; the text that says so has been returned. */
  readonly failed: StatorError | null;
  /** Whose token comes next; null when there is but one choice. */
  readonly turns: ChoiceTurns | null;
  /** What can be sent before the engine does anything. */
  open(): string;
  /** Before the first token of this worker; `cachedTokens` goes into the usage. */
  started(cachedTokens: number): string;
  push(id: number, logprobs?: TokenLogprobs): string;
  /** The engine came to its end. With several choices this is a marker among the tokens (`choice-turns.ts`). */
  finish(reason: AnswerEnd): string;
  /** Ends the response with an error in place of what is missing. */
  fail(error: StatorError): string;
  /** What is stored of the response, as it stands; null in dialects whose responses are not. */
  record(end: RecordedEnd): ResponseRecord | null;
  /** What keeps the client's connection busy before the first token; empty where nothing may be written. */
  keepAlive(): string;
  /** Text returned by the other methods, joined in order, as what to send. */
  encode(text: string): Chunk;
}

/** A piece of a body: bytes, or text to be sent in UTF-8 (which saves Node a copy and a system call). */
export type Chunk = string | Buffer;

/** The fold of a request; `resume` (streams only) continues what another worker began. */
export function openResponse(
  facts: ResponseFacts,
  vocabulary: Vocabulary,
  resume: ResumePoint | null = null,
): ResponseFold {
  const texts = tokenTexts(vocabulary, facts.parsing);
  if (!facts.stream) return new DocumentResponse(facts, texts);
  const stream = new EventStream(facts, texts);
  return resume === null ? stream : new ResumedStream(stream, resume);
}
