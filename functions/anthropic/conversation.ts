/**
 * Anthropic's messages → the messages that chat templates know. Turns of one role in a row are one turn; a result of a
 * tool is a message of its own (`tool`), calls and thinking belong to the assistant's.
 *
 * Refused as Anthropic does: turns without content (but a last one of the assistant), calls without results and
 * results without calls, and what a model of text cannot read.
 */

import type { ChatMessage, PastToolCall } from '../inference-request.ts';
import { checkValue } from '../openai/tool-request.ts';
import { wellFormed } from '../openai/well-formed.ts';
import type { Block, MessageParam, PromptBody } from './messages-schema.ts';
import { notServed, refusal } from './parse.ts';

/** Between blocks of text that become one. */
const SEPARATOR = '\n';

/** A block and where it stands in the body. */
interface PlacedBlock {
  block: Block;
  param: string;
}

interface Turn {
  role: MessageParam['role'];
  blocks: PlacedBlock[];
}

export interface Conversation {
  messages: ChatMessage[];
  /** The last turn is the assistant's: the answer goes on with it. */
  continuesLast: boolean;
}

export function conversationOf({ system, messages }: PromptBody): Conversation {
  const turns = turnsOf(messages);
  checkResults(turns);
  const made = turns.flatMap((turn) => (turn.role === 'assistant' ? assistant(turn) : user(turn)));
  const instructions = typeof system === 'string' ? wellFormed(system, 'system') : textOfSystem(system);
  if (instructions !== '') made.unshift({ role: 'system', content: instructions });
  const last = turns.at(-1)!;
  const continuesLast = last.role === 'assistant' && made.at(-1)!.content !== '';
  if (continuesLast && /\s$/.test(made.at(-1)!.content)) {
    throw refusal('messages', 'final assistant content cannot end with trailing whitespace');
  }
  return { messages: made, continuesLast };
}

function turnsOf(messages: readonly MessageParam[]): Turn[] {
  const turns: Turn[] = [];
  messages.forEach(({ role, content }, index) => {
    const param = `messages.${index}`;
    const isLast = index === messages.length - 1;
    if (content.length === 0 && !(isLast && role === 'assistant')) {
      throw refusal(
        param,
        'all messages must have non-empty content except for the optional final assistant message',
      );
    }
    const blocks = blocksOf(content, `${param}.content`);
    const before = turns.at(-1);
    if (before?.role === role) before.blocks.push(...blocks);
    else turns.push({ role, blocks });
  });
  return turns;
}

function blocksOf(content: MessageParam['content'], param: string): PlacedBlock[] {
  if (typeof content !== 'string') {
    return content.map((block, at) => ({ block, param: `${param}.${at}` }));
  }
  return content === '' ? [] : [{ block: { type: 'text', text: content }, param }];
}

function user({ blocks }: Turn): ChatMessage[] {
  const made: ChatMessage[] = [];
  for (const { block, param } of blocks) {
    switch (block.type) {
      case 'text':
        addText(made, 'user', textOf(block.text, param));
        break;
      case 'tool_result':
        made.push({
          role: 'tool',
          tool_call_id: block.tool_use_id,
          content: resultText(block.content, `${param}.content`),
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

type ResultContent = (Block & { type: 'tool_result' })['content'];

function resultText(content: ResultContent, param: string): string {
  if (content == null) return '';
  if (typeof content === 'string') return wellFormed(content, param);
  const texts = content.map((block, at) => {
    if (block.type !== 'text') throw unreadable(block.type, `${param}.${at}`);
    return wellFormed(block.text, `${param}.${at}.text`);
  });
  return texts.join(SEPARATOR);
}

/** Each call has its result in the turn behind it, and each result its call in the turn before. */
function checkResults(turns: readonly Turn[]): void {
  let open = new Set<string>();
  for (const { blocks } of turns) {
    for (const { block, param } of blocks) {
      if (block.type !== 'tool_result' || open.delete(block.tool_use_id)) continue;
      const reason = `unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${block.tool_use_id}. Each`;
      throw refusal(param, `${reason} \`tool_result\` needs a \`tool_use\` in the message before it.`);
    }
    refuseOpen(open);
    open = new Set(idsOf(blocks));
  }
  refuseOpen(open);
}

function refuseOpen(calls: ReadonlySet<string>): void {
  if (calls.size === 0) return;
  const ids = [...calls].join(', ');
  throw refusal('messages', `\`tool_use\` ids without \`tool_result\` blocks immediately after: ${ids}`);
}

function idsOf(blocks: readonly PlacedBlock[]): string[] {
  return blocks.flatMap(({ block }) => (block.type === 'tool_use' ? [block.id] : []));
}

const unreadable = (type: string, param: string) =>
  notServed(`${param}.type`, `Content of type '${type}' is not served.`);
