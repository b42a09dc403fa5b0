/**
 * A model's Jinja chat template, compiled once per isolate.
 *
 * Control tokens belong to the template: where a user's text names one, a guard character breaks the name up and the
 * tokenizer drops the guard again (wasm/guard.ts). A template that raises speaks to the caller ("roles must
 * alternate"), so its words become an `invalid_request`.
 */
import { Template } from '@huggingface/jinja';
import type { ModelEntry } from '../../durable/directory/rpc.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import { guardTexts } from '../../wasm/guard.ts';
import type { ChatMessage } from '../inference-request.ts';

/** Text in which the tokenizer may find control tokens, except where the guard stands inside their names. */
export interface RenderedPrompt {
  text: string;
  /** undefined: nothing had to be guarded. */
  guard: string | undefined;
}

/** Throws `engine_error` when the source is not a template. */
export function compileTemplate(source: string): Template {
  try {
    return new Template(source);
  } catch (cause) {
    throw new StatorError('engine_error', "The model's chat template cannot be read.", { cause });
  }
}

/** The prompt of a conversation, ending where the assistant's answer begins. Throws `invalid_request`. */
export function renderChat(template: Template, messages: ChatMessage[], model: ModelEntry): RenderedPrompt {
  const guarded = guardMessages(messages, model.specialTokens);
  try {
    const text = template.render({
      messages: guarded.messages,
      add_generation_prompt: true,
      bos_token: model.bosToken,
      eos_token: model.eosToken,
    });
    return { text, guard: guarded.guard };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `The model's chat template refused the messages: ${reason}`;
    throw new StatorError('invalid_request', message, { param: 'messages', cause });
  }
}

/** A plain prompt: the begin-of-text token, when the model wants it, and the text. */
export function renderText(text: string, model: ModelEntry): RenderedPrompt {
  const { texts, guard } = guardTexts([text], model.specialTokens);
  return { text: (model.addBosToken ? model.bosToken : '') + texts[0]!, guard };
}

function guardMessages(messages: ChatMessage[], specialTokens: readonly string[]) {
  if (!mayNameOne(messages, specialTokens)) return { messages, guard: undefined };
  const pieces = messages.flatMap(({ content, name }) => [content, name ?? '']);
  const { texts, guard } = guardTexts(pieces, specialTokens);
  const guarded = messages.map((message, index): ChatMessage => {
    const content = texts[2 * index]!;
    return message.name === undefined
      ? { role: message.role, content }
      : { role: message.role, content, name: texts[2 * index + 1]! };
  });
  return { messages: guarded, guard };
}

const beginnings = new WeakMap<readonly string[], readonly string[]>();

/** A cheap test first: models have hundreds of special tokens, but they begin in one or two ways. */
function mayNameOne(messages: ChatMessage[], specialTokens: readonly string[]): boolean {
  let starts = beginnings.get(specialTokens);
  if (starts === undefined) {
    starts = [...new Set(specialTokens.map((token) => token.slice(0, 2)))].filter((start) => start !== '');
    beginnings.set(specialTokens, starts);
  }
  for (const { content, name } of messages) {
    for (const start of starts) {
      if (content.includes(start) || name?.includes(start)) return true;
    }
  }
  return false;
}
