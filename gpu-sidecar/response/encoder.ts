/**
 * What a dialect must provide. Everything that does not depend on the tokens is written once per choice, so that
 * a token costs the escaping of its text and two concatenations.
 */

import type { ResponseFacts } from './facts.ts';
import type { FinishReasonName, WholeMessage } from './message.ts';
import type { ContentPart } from './parsers/parser.ts';
import type { LoggedToken } from './token-log.ts';
import type { TokenTexts } from './token-texts.ts';
import type { Usage } from './usage.ts';

/** Payloads of the events of one choice in a stream: JSON without line feeds. */
export interface ChunkEncoder {
  /** Comes before the first token; null when the dialect has none. */
  readonly first: string | null;
  /** A content chunk is `head`, the text as a JSON string, `tail`. */
  readonly head: string;
  readonly tail: string;
  /** A content chunk that says how likely its tokens were. */
  logged(text: string, tokens: readonly LoggedToken[], texts: TokenTexts): string;
  /** A part of the message that is not plain content; only dialects of chats have others. */
  part(part: ContentPart): string;
  finish(reason: FinishReasonName): string;
  /** After the last finish chunk, when usage was asked for. */
  usage(usage: Usage): string;
}

export type MakeChunkEncoder = (facts: ResponseFacts, choice: number) => ChunkEncoder;

export interface WholeChoice {
  message: WholeMessage;
  reason: FinishReasonName;
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
