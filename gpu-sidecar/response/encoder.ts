/**
 * What a dialect must provide. Everything that does not depend on the tokens is written once per choice, so that
 * a token costs the escaping of its text and two concatenations.
 *
 * An encoder may remember what it has written (which block is open): it is part of the fold, and sees the same
 * calls on every worker that works on the response.
 */

import type { StatorError } from '../../durable/runtime/errors.ts';
import type { ResponseFacts } from './facts.ts';
import type { FinishReasonName, WholeMessage } from './message.ts';
import type { ContentPart } from './parsers/parser.ts';
import type { LoggedToken } from './token-log.ts';
import type { TokenTexts } from './token-texts.ts';
import type { Usage } from './usage.ts';

/** Events in order, each as its lines behind the id: `data: …`, where the dialect names events with `event: …` before it. */
export type EventLines = readonly string[];

/** How a choice ended. */
export interface ChoiceEnd {
  reason: FinishReasonName;
  /** The stop string that ended it. */
  stopString: string | null;
}

/** The events of one choice in a stream. No line in them holds a line feed of the text. */
export interface ChunkEncoder {
  /** Comes before the first token. */
  begin(cachedTokens: number): EventLines;
  text(text: string): EventLines;
  /** Text that says how likely its tokens were; only in dialects that have such. */
  logged(text: string, tokens: readonly LoggedToken[], texts: TokenTexts): EventLines;
  /** A part of the message that is not plain content; only dialects of chats have others. */
  part(part: ContentPart): EventLines;
  finish(end: ChoiceEnd): EventLines;
  /** The end of the response, from the choice that finished last. */
  close(usage: Usage): EventLines;
  /** The lines of the last event of a response that failed; only in dialects whose failures say how far it came. */
  failed?(error: StatorError, usage: Usage): string;
  /** Only in dialects whose responses are stored. */
  record?(end: RecordedEnd, usage: Usage): ResponseRecord;
}

/** How a stored response came to its end: it was told to its end, nobody was left to be told, or it failed. */
export type RecordedEnd = 'told' | 'cancelled' | StatorError;

/** What is stored of a response. */
export interface ResponseRecord {
  state: 'completed' | 'incomplete' | 'cancelled' | 'failed';
  /** JSON. */
  document: string;
}

export type MakeChunkEncoder = (facts: ResponseFacts, choice: number) => ChunkEncoder;

export interface WholeChoice extends ChoiceEnd {
  message: WholeMessage;
  /** null: not asked for. */
  logged: readonly LoggedToken[] | null;
}

export interface WholeAnswer {
  choices: readonly WholeChoice[];
  texts: TokenTexts;
  usage: Usage;
}

/** The one JSON document of a response that is not streamed. */
export type EncodeDocument = (facts: ResponseFacts, answer: WholeAnswer) => string;

export interface DialectEncoder {
  chunks: MakeChunkEncoder;
  document: EncodeDocument;
  /** Of a response that is not streamed, as it stands. */
  record?(facts: ResponseFacts, end: RecordedEnd, answer: WholeAnswer): ResponseRecord;
  /** A failure after this many events: the lines of its event; and what stands in place of the document. */
  errorLines(error: StatorError, events: number): string;
  errorDocument(error: StatorError): string;
}
