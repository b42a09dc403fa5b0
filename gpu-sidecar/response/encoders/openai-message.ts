/**
 * What a chat message holds beside text, as OpenAI writes calls of tools and as DeepSeek, vLLM and Dynamo write
 * reasoning (`reasoning_content`). A call without an id of its own gets one from the response's id and its place.
 */

import type { ResponseFacts } from '../facts.ts';
import type { WholeMessage } from '../message.ts';
import type { ContentPart } from '../parsers/parser.ts';

export function deltaOf(part: ContentPart, facts: ResponseFacts, choice: number): string {
  switch (part.kind) {
    case 'content':
      return JSON.stringify({ content: part.text });
    case 'reasoning':
      return JSON.stringify({ reasoning_content: part.text });
    case 'tool_call': {
      const { index, name } = part;
      const id = part.id ?? callId(facts, choice, index);
      const call = { index, id, type: 'function', function: { name, arguments: '' } };
      return JSON.stringify({ tool_calls: [call] });
    }
    case 'tool_arguments':
      return JSON.stringify({
        tool_calls: [{ index: part.index, function: { arguments: part.text } }],
      });
  }
}

/** The members of `message` behind its role. */
export function messageJson(message: WholeMessage, facts: ResponseFacts, choice: number): string {
  const { content, reasoning, calls } = message;
  const members: Record<string, unknown> = {
    content: content === '' && calls.length > 0 ? null : content,
    refusal: null,
  };
  if (reasoning !== '') members['reasoning_content'] = reasoning;
  if (calls.length > 0) {
    members['tool_calls'] = calls.map(({ id, name, arguments: given }, index) => ({
      id: id ?? callId(facts, choice, index),
      type: 'function',
      function: { name, arguments: given },
    }));
  }
  return JSON.stringify(members).slice(1, -1);
}

const callId = ({ responseId }: ResponseFacts, choice: number, index: number): string =>
  `call_${responseId.slice(responseId.indexOf('-') + 1)}_${choice}_${index}`;
