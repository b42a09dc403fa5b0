/**
 * Items of a conversation → the messages that chat templates know. What the assistant thought, said and called in a row is
 * one message; the output of a call is a message of its own (`tool`).
 *
 * The items are checked (the client's own) or were written by us (stored ones). Throws `invalid_request` or
 * `unsupported_parameter` naming the field.
 */
import { StatorError } from '../../durable/runtime/errors.ts';
import type { ChatMessage } from '../inference-request.ts';
import { unsupported } from '../openai/parse.ts';
import type { InputContent, InputItem } from '../openai/responses-schema.ts';
import { argumentsOf } from '../openai/tool-request.ts';
import { wellFormed } from '../openai/well-formed.ts';

/** An item with its place in the body, for errors. */
export interface PlacedItem {
  item: InputItem;
  param: string;
}

export function messagesOf(items: readonly PlacedItem[]): ChatMessage[] {
  const messages: ChatMessage[] = [];
  const calls = new Set<string>();
  for (const { item, param } of items) {
    switch (item.type) {
      case 'reasoning':
        addReasoning(messages, textOf(item.content ?? item.summary ?? [], `${param}.content`));
        break;
      case 'function_call': {
        const given = argumentsOf(item.arguments, `${param}.arguments`);
        const call = {
          id: item.call_id,
          type: 'function' as const,
          function: { name: item.name, arguments: given },
        };
        const { tool_calls: known, ...assistant } = takeAssistant(messages);
        messages.push({ ...assistant, tool_calls: [...(known ?? []), call] });
        calls.add(item.call_id);
        break;
      }
      case 'function_call_output': {
        if (!calls.has(item.call_id)) {
          const message = `No tool call found for function call output with call_id ${item.call_id}.`;
          throw new StatorError('invalid_request', message, { param: 'input' });
        }
        const content = textOf(item.output, `${param}.output`);
        messages.push({ role: 'tool', tool_call_id: item.call_id, content });
        break;
      }
      case 'item_reference':
        throw new StatorError('internal', `the item ${item.id} was not looked up`);
      default: {
        const content = textOf(item.content, `${param}.content`);
        if (item.role === 'assistant') addContent(messages, content);
        else messages.push({ role: item.role, content });
      }
    }
  }
  return messages;
}

/** The assistant's message at the end, to go on with; a new one where the last is somebody else's. */
function takeAssistant(messages: ChatMessage[]): ChatMessage {
  return messages.at(-1)?.role === 'assistant' ? messages.pop()! : { role: 'assistant', content: '' };
}

function addReasoning(messages: ChatMessage[], text: string): void {
  const message = takeThinking(messages);
  messages.push({ ...message, reasoning_content: (message.reasoning_content ?? '') + text });
}

/** Thoughts come before what is said; whatever else was said before is a message of its own. */
const addContent = (messages: ChatMessage[], text: string): void =>
  void messages.push({ ...takeThinking(messages), content: text });

/** The assistant's message at the end that has said and called nothing yet; a new one where there is none. */
function takeThinking(messages: ChatMessage[]): ChatMessage {
  const last = messages.at(-1);
  const goesOn = last?.role === 'assistant' && last.content === '' && last.tool_calls === undefined;
  return goesOn ? messages.pop()! : { role: 'assistant', content: '' };
}

const TEXTS: readonly string[] = ['input_text', 'output_text', 'text', 'reasoning_text', 'summary_text'];

function textOf(content: InputContent, param: string): string {
  if (typeof content === 'string') return wellFormed(content, param);
  let text = '';
  content.forEach((part, at) => {
    const field = part.type === 'refusal' ? 'refusal' : 'text';
    const place = `${param}[${at}]`;
    if (field === 'text' && !TEXTS.includes(part.type)) {
      throw unsupported(`${place}.type`, `Content of type '${part.type}' is not served.`);
    }
    const said = part[field];
    if (said === undefined) {
      const message = `Missing required parameter: '${place}.${field}'.`;
      throw new StatorError('invalid_request', message, { param: `${place}.${field}` });
    }
    text += wellFormed(said, `${place}.${field}`);
  });
  return text;
}
