/** What a line means in `stator chat`, and what has been said so far. Pure. */

import type { Message } from './chat-client.ts';

export interface Conversation {
  model: string;
  system: string;
  messages: readonly Message[];
}

/** What somebody typed. `words` are what follows the command. */
export type Input =
  | { kind: 'say'; text: string }
  | { kind: 'nothing' }
  | { kind: 'help' | 'clear' }
  | { kind: 'exit' }
  | { kind: 'system' | 'model' | 'save'; words: string }
  | { kind: 'unknown'; command: string };

export const COMMANDS = {
  help: 'this list',
  clear: 'begin anew; the system prompt stays',
  system: 'TEXT: set the system prompt (without TEXT: show it)',
  model: 'NAME: talk to another model (without NAME: list them)',
  save: 'FILE: write the conversation as JSON',
  exit: 'leave; so does Ctrl-D',
} as const;

const SYNONYMS: Readonly<Record<string, keyof typeof COMMANDS>> = { '?': 'help', quit: 'exit', bye: 'exit' };

/** A slash at the start makes a command of a message of one line; two make it a message again. */
export function readInput(text: string): Input {
  const trimmed = text.trim();
  if (trimmed === '') return { kind: 'nothing' };
  if (trimmed.startsWith('//')) return { kind: 'say', text: trimmed.slice(1) };
  if (!trimmed.startsWith('/') || trimmed.includes('\n')) return { kind: 'say', text: trimmed };
  const [, word = '', words = ''] = /^\/(\S*)\s*(.*)$/.exec(trimmed) ?? [];
  const command = SYNONYMS[word] ?? word;
  switch (command) {
    case 'help':
    case 'clear':
    case 'exit':
      return { kind: command };
    case 'system':
    case 'model':
    case 'save':
      return { kind: command, words };
    default:
      return { kind: 'unknown', command: word };
  }
}

/** All that the model is sent. */
export function messagesOf({ system, messages }: Conversation): Message[] {
  return system === '' ? [...messages] : [{ role: 'system', content: system }, ...messages];
}

/** The conversation with one exchange more; a stopped answer counts as far as it came. */
export function exchanged(conversation: Conversation, asked: string, answer: string): Conversation {
  const further: Message[] = [
    { role: 'user', content: asked },
    { role: 'assistant', content: answer },
  ];
  return { ...conversation, messages: [...conversation.messages, ...further] };
}
