/**
 * What the response path must know of a request: plain data, the same on every worker that works on the request, so
 * that all of them write the same bytes. Only `nvext` measures something.
 */

import type { NvextAnswer } from './nvext.ts';
import type { ParserOptions } from './parsers/parser.ts';

export type DialectName = 'openai-chat' | 'openai-completion' | 'anthropic-messages' | 'openai-responses';

export interface ResponseFacts {
  dialect: DialectName;
  /** Server-sent events, or one JSON document. */
  stream: boolean;
  /** Streams only: a last chunk with the usage. */
  includeUsage: boolean;
  responseId: string;
  /** Unix seconds. */
  created: number;
  /** The model's name as the client wrote it. */
  model: string;
  /** Responses only: the members that repeat the request, as a JSON object; empty: none. */
  envelope: string;
  promptTokens: number;
  /** Tokens that prompt and answer may have together. */
  contextLengthTokens: number;
  /** Text that comes before the answer (`echo`); empty = none. */
  echoText: string;
  /** None of them empty. */
  stop: readonly string[];
  /** Answers in the response. */
  choices: number;
  /** The tokens' log probabilities are part of the answer. */
  logprobs: boolean;
  /** How the text is read; null: all of it is content. */
  parsing: ParserOptions | null;
  /** Calls behind the first are dropped. */
  oneToolCall: boolean;
  /** Stop strings do not count before this many tokens. */
  minTokens: number;
  /** null: nothing was asked for. */
  nvext: NvextAnswer | null;
}
