/** What the parsers of an answer look for, as strings: where a vocabulary has tokens for them, these are text to be read. */

import { HARMONY_MARKERS } from './harmony-parser.ts';
import type { ParserOptions } from './parser.ts';
import { REASONING_FAMILIES, type ReasoningFamily } from './reasoning-families.ts';
import { HARMONY, TOOL_CALL_FAMILIES, type ToolCallFamily } from './tool-call-families.ts';

export function markupOf({
  toolCallParser,
  reasoningParser,
}: Pick<ParserOptions, 'toolCallParser' | 'reasoningParser'>): readonly string[] {
  const calls = toolCallParser === null ? undefined : TOOL_CALL_FAMILIES[toolCallParser];
  const reasoning = reasoningParser === null ? undefined : REASONING_FAMILIES[reasoningParser];
  if (calls === HARMONY || reasoning === HARMONY) return HARMONY_MARKERS;
  return [...(calls ? markersOfCalls(calls) : []), ...(reasoning ? markersOfReasoning(reasoning) : [])];
}

const markersOfCalls = ({ starts, silent, inside = [] }: ToolCallFamily) => [
  ...Object.keys(starts),
  ...silent,
  ...inside,
];

const markersOfReasoning = ({ opens, closes }: ReasoningFamily) => [...opens, ...closes];
