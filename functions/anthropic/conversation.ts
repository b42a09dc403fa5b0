/**
 * Anthropic's messages → the messages that chat templates know: a result of a tool is a message of its own (`tool`),
 * calls and thinking belong to the assistant's. What a model of text cannot read is refused by name.
 */

import type { ChatMessage, PastToolCall } from '../inference-request.ts';
import { checkValue } from '../openai/tool-request.ts';
import { wellFormed } from '../openai/well-formed.ts';
import type { Block, PromptBody } from './messages-schema.ts';
import { notServed, refusal } from './parse.ts';
import { checkResults, type Turn, turnsOf } from './turns.ts';

/** Between blocks of text that become one. */
const SEPARATOR = '\n';

export interface Conversation {
  messages: ChatMessage[];
  /** The last turn is the assistant's: the answer goes on with it. */
  continuesLast: boolean;
}

export function conversationOf({ system, messages }: PromptBody): Conversation {
  const turns = turnsOf(messages);
  const made = turns.flatMap((turn) => (turn.role === 'assistant' ? assistant(turn) : spoken(turn)));
  checkResults(turns);
  const instructions = typeof system === 'string' ? wellFormed(system, 'system') : textOfSystem(system);
  if (instructions !== '') made.unshift({ role: 'system', content: instructions });
  const last = turns.at(-1)!;
  const continuesLast = last.role === 'assistant' && made.at(-1)!.content !== '';
  if (continuesLast && /\s$/.test(made.at(-1)!.content)) {
    throw refusal('messages', 'final assistant content cannot end with trailing whitespace');
  }
  return { messages: made, continuesLast };
}

/** Of the user, or of the system between turns. */
function spoken({ role, blocks }: Turn): ChatMessage[] {
  const made: ChatMessage[] = [];
  for (const { block, param } of blocks) {
    switch (block.type) {
      case 'text':
        addText(made, role, textOf(block.text, param));
        break;
      case 'tool_result':
        if (role !== 'user') throw refusal(param, '`tool_result` blocks can only be in `user` messages');
        made.push({
          role: 'tool',
          tool_call_id: block.tool_use_id,
          content: resultText(block, `${param}.content`),
        });
        break;
      case 'tool_use':
      case 'thinking':
      case 'redacted_thinking':
        throw refusal(param, `\`${block.type}\` blocks can only be in \`assistant\` messages`);
      default:
        throw unreadable(block.type, param);
    }
  }
  return made;
}

function assistant({ blocks }: Turn): ChatMessage[] {
  const texts: string[] = [];
  const thoughts: string[] = [];
  const calls: PastToolCall[] = [];
  for (const { block, param } of blocks) {
    switch (block.type) {
      case 'text':
        texts.push(textOf(block.text, param));
        break;
      case 'thinking':
        thoughts.push(wellFormed(block.thinking, `${param}.thinking`));
        break;
      case 'redacted_thinking':
        break;
      case 'tool_use':
        checkValue(block.input, `${param}.input`);
        calls.push({
          id: wellFormed(block.id, `${param}.id`),
          type: 'function',
          function: { name: wellFormed(block.name, `${param}.name`), arguments: block.input },
        });
        break;
      case 'tool_result':
        throw refusal(param, '`tool_result` blocks can only be in `user` messages');
      default:
        throw unreadable(block.type, param);
    }
  }
  const message: ChatMessage = { role: 'assistant', content: texts.join(SEPARATOR) };
  if (thoughts.length > 0) message.reasoning_content = thoughts.join(SEPARATOR);
  if (calls.length > 0) message.tool_calls = calls;
  return [message];
}

function addText(made: ChatMessage[], role: string, text: string): void {
  const last = made.at(-1);
  if (last?.role === role) last.content += SEPARATOR + text;
  else made.push({ role, content: text });
}

function textOf(text: string, param: string): string {
  if (text === '') throw refusal(param, 'text content blocks must be non-empty');
  return wellFormed(text, `${param}.text`);
}

function textOfSystem(system: Exclude<PromptBody['system'], string>): string {
  return (system ?? []).map(({ text }, at) => textOf(text, `system.${at}`)).join(SEPARATOR);
}

type ToolResult = Block & { type: 'tool_result' };

/** Templates have no word for a failure: it must be in the text. */
function resultText(result: ToolResult, param: string): string {
  const text = textOfResult(result, param);
  return text === '' && result.is_error ? 'error' : text;
}

function textOfResult({ content }: ToolResult, param: string): string {
  if (content == null) return '';
  if (typeof content === 'string') return wellFormed(content, param);
  const texts = content.map((block, at) => {
    if (block.type !== 'text') throw unreadable(block.type, `${param}.${at}`);
    return wellFormed(block.text, `${param}.${at}.text`);
  });
  return texts.join(SEPARATOR);
}

const unreadable = (type: string, param: string) =>
  notServed(`${param}.type`, `Content of type '${type}' is not served.`);
