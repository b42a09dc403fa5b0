/**
 * What a model's text means: content, reasoning, calls of tools. One stage of the fold, between stop strings and encoder.
 *
 * Laws, held by tests for each family:
 * 1. Any cutting of the text into pushes gives the same parts, once neighbours of the same kind are joined. A parser is
 *    a pure function of its options and the text, so another worker that folds the same tokens again gets the same bytes.
 * 2. Markup of the family never reaches `content` or `reasoning`.
 * 3. The `tool_arguments` of one index, joined, are the arguments: the JSON that the model wrote, to the letter where it
 *    wrote JSON, else (XML, Python) its translation.
 * 4. A call that breaks off: what was certain of its arguments has been given and is not completed; one whose name was
 *    not certain is not given at all. The finish reason stays `length`, or is what `finishReason` says.
 */

import type { AnswerEnd } from '../answer.ts';

/** Never empty text. A `tool_call` comes once per index, before its first arguments; indices count from 0. */
export type ContentPart =
  | { kind: 'content'; text: string }
  | { kind: 'reasoning'; text: string }
  /** `id` only where the model wrote one (Kimi K2, Mistral); else the encoder makes it from response id and index. */
  | { kind: 'tool_call'; index: number; id?: string; name: string }
  | { kind: 'tool_arguments'; index: number; text: string };

export interface ContentParser {
  /** The parts that became certain with this text. */
  push(text: string): ContentPart[];
  /**
   * No more text comes. What was held back as possible markup is text after all, but dropped with a broken call, and
   * where the limit on tokens cut the answer (`length`), since a piece of markup is markup (a single character is not).
   */
  end(reason: AnswerEnd): ContentPart[];
}

/** A tool of the request, as far as parsers need it: XML dialects do not say whether `5` is a number or a string. */
export interface ToolSpec {
  name: string;
  /** JSON schema of the arguments; `unknown` because it came from the client. */
  parameters?: unknown;
}

/** Plain data, part of the facts of a response. */
export interface ParserOptions {
  /** Name in `TOOL_CALL_FAMILIES`; null: calls are not looked for. */
  toolCallParser: string | null;
  /** Name in `REASONING_FAMILIES`; null: reasoning is not looked for. */
  reasoningParser: string | null;
  /** The prompt ended inside the reasoning (the template wrote `<think>`); absent: as is usual for the family. */
  reasoningOpen?: boolean;
  tools: readonly ToolSpec[];
}

/** `stop` becomes `tool_calls` once a call was given; `length` stays: the client must know that the call may be cut. */
export function finishReason(reason: AnswerEnd, calls: number): AnswerEnd | 'tool_calls' {
  return reason === 'stop' && calls > 0 ? 'tool_calls' : reason;
}
