/** Anthropic's message as one document (https://docs.claude.com/en/api/messages). */

import type { EncodeDocument } from '../encoder.ts';
import type { ResponseFacts } from '../facts.ts';
import type { WholeMessage } from '../message.ts';
import { anthropicUsage, signatureOf, stopMembers, toolUseId } from './anthropic-blocks.ts';

/** There is always one choice. */
export const anthropicMessage: EncodeDocument = (facts, { choices: [choice], usage }) =>
  `{"id":${JSON.stringify(facts.responseId)},"type":"message","role":"assistant",` +
  `"model":${JSON.stringify(facts.model)},"content":[${blocks(choice!.message, facts).join(',')}],` +
  `${stopMembers(choice!, facts, usage)},"usage":${anthropicUsage(usage)}}`;

function blocks({ parts, calls }: WholeMessage, facts: ResponseFacts): string[] {
  const made: string[] = [];
  for (const part of parts) {
    switch (part.kind) {
      case 'content':
        made.push(JSON.stringify({ type: 'text', text: part.text }));
        break;
      case 'reasoning':
        made.push(JSON.stringify({ type: 'thinking', thinking: part.text, signature: signatureOf(facts) }));
        break;
      case 'tool_call': {
        const head = JSON.stringify({ type: 'tool_use', id: toolUseId(part, facts), name: part.name });
        made.push(`${head.slice(0, -1)},"input":${inputOf(calls[part.index]!.arguments)}}`);
        break;
      }
      case 'tool_arguments':
        break;
    }
  }
  return made;
}

/** The arguments to the letter where they are an object; a call that was cut, or is none, has no input. */
function inputOf(given: string): string {
  try {
    const value: unknown = JSON.parse(given);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? given : '{}';
  } catch {
    return '{}';
  }
}
