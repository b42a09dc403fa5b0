/**
 * `stator chat`: read, ask, show, until somebody leaves. Ctrl-C stops an answer; at an empty prompt, or a second time
 * while an answer is being stopped, it leaves.
 */

import { StatorError } from '../../durable/runtime/errors.ts';
import { type Screen, showAnswer, type ViewOptions } from './answer-view.ts';
import type { ChatClient, Question } from './chat-client.ts';
import { COMMANDS, type Conversation, exchanged, type Input, messagesOf, readInput } from './conversation.ts';
import type { MessageReader } from './message-reader.ts';
import { styleOf } from './style.ts';

/** What stops an answer: calls `stop` at each Ctrl-C until the returned function is called. */
export type Interrupts = (stop: () => void) => () => void;

export interface ChatOptions {
  client: ChatClient;
  reader: MessageReader;
  view: ViewOptions;
  interrupts: Interrupts;
  /** Writes a new file; throws when it is there. */
  save: (file: string, text: string) => void;
  sampling: Pick<Question, 'temperature' | 'maxTokens'>;
}

/** Resolves when somebody has left. */
export async function chatLoop(start: Conversation, options: ChatOptions): Promise<void> {
  let conversation = start;
  let warned = false;
  for (;;) {
    const read = await options.reader.next();
    if (read.kind === 'end') return;
    if (read.kind === 'interrupted') {
      if (warned) return;
      warned = true;
      note(options, 'Ctrl-C again, Ctrl-D or /exit leaves');
      continue;
    }
    warned = false;
    const input = readInput(read.text);
    if (input.kind === 'exit') return;
    try {
      const next = await follow(input, conversation, options);
      if (next === null) return;
      conversation = next;
    } catch (thrown) {
      // The conversation goes on without what failed.
      if (!(thrown instanceof StatorError)) throw thrown;
      options.view.screen.write(`stator: ${thrown.message}\n`);
    }
  }
}

/** The conversation after this input; null when somebody wants to leave. */
async function follow(
  input: Exclude<Input, { kind: 'exit' }>,
  conversation: Conversation,
  options: ChatOptions,
): Promise<Conversation | null> {
  switch (input.kind) {
    case 'nothing':
      return conversation;
    case 'say':
      return say(input.text, conversation, options);
    case 'help':
      for (const [name, help] of Object.entries(COMMANDS)) note(options, `/${name.padEnd(7)} ${help}`);
      note(options, 'A backslash at the end of a line, or """ around several, makes a longer message.');
      return conversation;
    case 'clear':
      note(options, 'a new conversation');
      return { ...conversation, messages: [] };
    case 'system':
      if (input.words === '') {
        note(options, conversation.system === '' ? 'no system prompt' : conversation.system);
        return conversation;
      }
      note(options, 'system prompt set');
      return { ...conversation, system: input.words };
    case 'model':
      return chooseModel(input.words, conversation, options);
    case 'save':
      return save(input.words, conversation, options);
    case 'unknown':
      note(options, `there is no /${input.command}; /help lists what there is, // begins a message`);
      return conversation;
  }
}

async function say(
  text: string,
  conversation: Conversation,
  { client, interrupts, sampling, view }: ChatOptions,
): Promise<Conversation | null> {
  const { model } = conversation;
  const asking = { ...conversation, messages: [...conversation.messages, { role: 'user', content: text }] };
  const question = { model, messages: messagesOf(asking as Conversation), ...sampling };
  const stop = new AbortController();
  let leave = false;
  const release = interrupts(() => {
    leave = stop.signal.aborted;
    stop.abort();
  });
  try {
    const shown = await showAnswer(client.ask(question, stop.signal), view);
    if (leave) return null;
    if (stop.signal.aborted) view.screen.write(`${styleOf(view.screen, view.env).dim('stopped')}\n`);
    return shown.text === '' ? conversation : exchanged(conversation, text, shown.text);
  } finally {
    release();
  }
}

async function chooseModel(
  name: string,
  conversation: Conversation,
  options: ChatOptions,
): Promise<Conversation> {
  if (name === '') {
    const models = await options.client.models();
    for (const model of models) note(options, model === conversation.model ? `${model} (this one)` : model);
    return conversation;
  }
  note(options, `now talking to ${name}`);
  return { ...conversation, model: name };
}

function save(file: string, conversation: Conversation, options: ChatOptions): Conversation {
  if (file === '') throw new StatorError('invalid_request', '/save wants the name of a file');
  const { model } = conversation;
  const text = `${JSON.stringify({ model, messages: messagesOf(conversation) }, null, 2)}\n`;
  try {
    options.save(file, text);
  } catch (cause) {
    throw new StatorError('invalid_request', `/save: ${(cause as Error).message}`, { cause });
  }
  note(options, `written to ${file}`);
  return conversation;
}

/** Something of ours, told apart from what the model says. On a pipe the answers are all that counts. */
function note({ view }: { view: { screen: Screen; env: ViewOptions['env'] } }, text: string): void {
  if (view.screen.isTTY === true) view.screen.write(`${styleOf(view.screen, view.env).dim(text)}\n`);
}
