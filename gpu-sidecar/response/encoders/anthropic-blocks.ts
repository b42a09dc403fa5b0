/**
 * What both forms of Anthropic's message say in the same words: usage, why it ended, ids of calls and the signature of
 * thinking (https://docs.claude.com/en/api/messages).
 */

import type { ChoiceEnd } from '../encoder.ts';
import type { ResponseFacts } from '../facts.ts';
import type { ContentPart } from '../parsers/parser.ts';
import type { Usage } from '../usage.ts';

/**
 * Anthropic counts what was read from the cache apart from the other input. It comes first: what a resumed stream may
 * have to adopt (`resumed-stream.ts`).
 */
export const anthropicUsage = ({ promptTokens, completionTokens, cachedTokens }: Usage): string =>
  `{"cache_read_input_tokens":${cachedTokens},"cache_creation_input_tokens":0,` +
  `"input_tokens":${promptTokens - cachedTokens},"output_tokens":${completionTokens}}`;

/** The members `stop_reason` and `stop_sequence`. */
export function stopMembers(
  { reason, stopString }: ChoiceEnd,
  facts: ResponseFacts,
  { promptTokens, completionTokens }: Usage,
): string {
  if (stopString !== null) {
    return `"stop_reason":"stop_sequence","stop_sequence":${JSON.stringify(stopString)}`;
  }
  const isFull = reason === 'length' && promptTokens + completionTokens >= facts.contextLengthTokens;
  const name = isFull ? 'model_context_window_exceeded' : STOP_REASONS[reason];
  return `"stop_reason":"${name}","stop_sequence":null`;
}

const STOP_REASONS = { stop: 'end_turn', length: 'max_tokens', tool_calls: 'tool_use' } as const;

export const toolUseId = (part: ContentPart & { kind: 'tool_call' }, facts: ResponseFacts): string =>
  part.id ?? `toolu_${bareId(facts)}_${part.index}`;

/** Clients send it back with the thinking; it says which response that was and nobody checks it. */
export const signatureOf = (facts: ResponseFacts): string => `sig_${bareId(facts)}`;

const bareId = ({ responseId }: ResponseFacts): string => responseId.slice(responseId.indexOf('_') + 1);
