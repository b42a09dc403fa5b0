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
import type { ChatMessage, TemplateExtras } from '../inference-request.ts';

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

export interface Conversation {
  messages: ChatMessage[];
  extras: TemplateExtras | null;
  model: ModelEntry;
  /** The answer goes on where the last message breaks off. */
  continuesLast?: boolean;
  /** The prompt ends where the assistant's answer begins; absent: unless it goes on. */
  addGenerationPrompt?: boolean;
}

/** The prompt of a conversation, ending where the assistant's answer begins. Throws `invalid_request`. */
export function renderChat(
  template: Template,
  { messages, extras, model, continuesLast = false, addGenerationPrompt = !continuesLast }: Conversation,
): RenderedPrompt {
  const { specialTokens } = model;
  const guarded = mayNameOne(messages, extras, specialTokens)
    ? guardStrings({ messages, extras }, specialTokens)
    : { value: { messages, extras }, guard: undefined };
  const { switches, ...others } = guarded.value.extras ?? {};
  try {
    const text = template.render({
      ...switches,
      ...others,
      messages: guarded.value.messages,
      add_generation_prompt: addGenerationPrompt,
      bos_token: model.bosToken,
      eos_token: model.eosToken,
    });
    const ends = continuesLast ? upToLast(text, guarded.value.messages) : text;
    return { text: ends, guard: guarded.guard };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `The model's chat template refused the messages: ${reason}`;
    throw new StatorError('invalid_request', message, { param: 'messages', cause });
  }
}

/** What a template writes behind the last message ends it, and the answer is to go on with it. */
function upToLast(text: string, messages: readonly ChatMessage[]): string {
  // Templates trim what they repeat.
  const content = messages.at(-1)!.content.trim();
  const at = text.lastIndexOf(content);
  if (at < 0) throw new Error('it does not repeat the last message, so that an answer cannot go on with it');
  return text.slice(0, at + content.length);
}

/** A plain prompt: the begin-of-text token, when the model wants it, and the text. */
export function renderText(text: string, model: ModelEntry): RenderedPrompt {
  const { texts, guard } = guardTexts([text], model.specialTokens);
  return { text: (model.addBosToken ? model.bosToken : '') + texts[0]!, guard };
}

/** The value with every text in it guarded, names of fields included: schemas of tools are the caller's, too. */
function guardStrings<T>(
  value: T,
  specialTokens: readonly string[],
): { value: T; guard: string | undefined } {
  const found: string[] = [];
  mapStrings(value, (text) => {
    found.push(text);
    return text;
  });
  const { texts, guard } = guardTexts(found, specialTokens);
  if (guard === undefined) return { value, guard };
  let at = 0;
  return { value: mapStrings(value, () => texts[at++]!) as T, guard };
}

/** Visits in the same order each time. Depth was checked with the body. */
function mapStrings(value: unknown, map: (text: string) => string): unknown {
  if (typeof value === 'string') return map(value);
  if (Array.isArray(value)) return value.map((each) => mapStrings(each, map));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [map(name), mapStrings(each, map)] as const),
  );
}

const beginnings = new WeakMap<readonly string[], readonly string[]>();

/** A cheap test first: models have hundreds of special tokens, but they begin in one or two ways. */
function mayNameOne(
  messages: ChatMessage[],
  extras: TemplateExtras | null,
  specialTokens: readonly string[],
): boolean {
  let starts = beginnings.get(specialTokens);
  if (starts === undefined) {
    starts = [...new Set(specialTokens.map((token) => token.slice(0, 2)))].filter((start) => start !== '');
    beginnings.set(specialTokens, starts);
  }
  const mayStart = (text: string): boolean => starts.some((start) => text.includes(start));
  for (const { content, name, reasoning_content, tool_calls } of messages) {
    if (mayStart(content) || (name !== undefined && mayStart(name))) return true;
    if (reasoning_content !== undefined && mayStart(reasoning_content)) return true;
    if (tool_calls !== undefined && mayBeIn(tool_calls, mayStart)) return true;
  }
  return extras !== null && mayBeIn(extras, mayStart);
}

/** Quotes and backslashes are escaped in JSON, so that a token which begins with one is taken as found. */
function mayBeIn(value: unknown, mayStart: (text: string) => boolean): boolean {
  const json = JSON.stringify(value);
  return mayStart(json) || json.includes('\\');
}
