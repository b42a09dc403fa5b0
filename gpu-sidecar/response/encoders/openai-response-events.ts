/**
 * A streamed response of OpenAI's (https://platform.openai.com/docs/api-reference/responses-streaming): the response begins,
 * its items follow one another, each announced, told in pieces and told whole, then comes the response as a whole.
 * `sequence_number` is the event's place in the stream. The end is `[DONE]`, which OpenAI's clients take for it.
 *
 * Log probabilities are in the pieces alone, since a worker that continues a stream has not those of the tokens before.
 */

import type { StatorError } from '../../../durable/runtime/errors.ts';
import type { ChunkEncoder, EventLines, MakeChunkEncoder, RecordedEnd, ResponseRecord } from '../encoder.ts';
import type { ResponseFacts } from '../facts.ts';
import type { FinishReasonName } from '../message.ts';
import type { ContentPart } from '../parsers/parser.ts';
import type { LoggedToken } from '../token-log.ts';
import type { TokenTexts } from '../token-texts.ts';
import type { Usage } from '../usage.ts';
import { OPENAI_DONE } from './openai-done.ts';
import { namedTokens } from './openai-logprobs.ts';
import { endOf, responseJson } from './openai-response.ts';
import {
  type ItemStatus,
  itemJson,
  type OutputItem,
  OutputItems,
  partJson,
} from './openai-response-items.ts';

export const openAiResponseEvents: MakeChunkEncoder = (facts) => new ResponseEvents(facts);

const TEXT_EVENTS = {
  message: 'response.output_text',
  reasoning: 'response.reasoning_text',
  call: 'response.function_call_arguments',
} as const;

class ResponseEvents implements ChunkEncoder {
  readonly #facts: ResponseFacts;
  readonly #items: OutputItems;
  /** Events so far. */
  #events = 0;
  #reason: FinishReasonName | null = null;

  constructor(facts: ResponseFacts) {
    this.#facts = facts;
    this.#items = new OutputItems(facts);
  }

  begin(): EventLines {
    const response = responseJson(this.#facts, {
      status: 'in_progress',
      error: null,
      items: [],
      usage: null,
    });
    return ['response.created', 'response.in_progress'].map((type) =>
      this.#event(type, `"response":${response}`),
    );
  }

  text(text: string): EventLines {
    return this.part({ kind: 'content', text });
  }

  /** What is no text of a message (reasoning, markup) has no place for log probabilities. */
  logged(text: string, tokens: readonly LoggedToken[], texts: TokenTexts): EventLines {
    const begins = this.#items.last === undefined && this.#facts.parsing === null;
    if (text === '' && !begins && this.#items.last?.kind !== 'message') return [];
    return this.#take({ kind: 'content', text }, namedTokens(tokens, texts).join(','));
  }

  part(part: ContentPart): EventLines {
    return this.#take(part, '');
  }

  finish({ reason }: Parameters<ChunkEncoder['finish']>[0]): EventLines {
    this.#reason = reason;
    const empty = this.#items.addEmpty() ? this.#opening(this.#items.last!) : [];
    return [...empty, ...this.#closing(this.#items.last!, reason === 'length' ? 'incomplete' : 'completed')];
  }

  close(usage: Usage): EventLines {
    const { state, document } = this.record('told', usage);
    return [this.#event(`response.${state}`, `"response":${document}`), OPENAI_DONE];
  }

  failed(error: StatorError, usage: Usage): string {
    return this.#event('response.failed', `"response":${this.record(error, usage).document}`);
  }

  record(end: RecordedEnd, usage: Usage): ResponseRecord {
    const { status, error } = endOf(end, this.#reason);
    const document = responseJson(this.#facts, { status, error, items: this.#items.list, usage });
    return { state: status, document };
  }

  #take(part: ContentPart, logprobs: string): EventLines {
    const before = this.#items.last;
    const began = this.#items.add(part);
    const item = this.#items.last!;
    const delta = 'text' in part ? part.text : null;
    if (!began) return delta === null ? [] : [this.#delta(item, delta, logprobs)];
    const events = before === undefined ? [] : this.#closing(before, 'completed');
    events.push(...this.#opening(item));
    if (delta !== null) events.push(this.#delta(item, delta, logprobs));
    return events;
  }

  #delta(item: OutputItem, text: string, logprobs: string): string {
    const place = item.kind === 'call' ? '' : ',"content_index":0';
    const log = item.kind === 'message' ? `,"logprobs":[${logprobs}]` : '';
    return this.#event(
      `${TEXT_EVENTS[item.kind]}.delta`,
      `"item_id":"${item.id}","output_index":${this.#items.list.length - 1}${place},"delta":${JSON.stringify(text)}${log}`,
    );
  }

  #opening(item: OutputItem): string[] {
    const index = this.#items.list.length - 1;
    const added = `"output_index":${index},"item":${itemJson(item, 'in_progress')}`;
    const events = [this.#event('response.output_item.added', added)];
    if (item.kind !== 'call')
      events.push(this.#event('response.content_part.added', inPart(item, index, '')));
    return events;
  }

  #closing(item: OutputItem, status: ItemStatus): string[] {
    const index = this.#items.list.indexOf(item);
    const text = JSON.stringify(item.text);
    const place = `"item_id":"${item.id}","output_index":${index}`;
    const told = {
      message: `${place},"content_index":0,"text":${text},"logprobs":[]`,
      reasoning: `${place},"content_index":0,"text":${text}`,
      call: `${place},"name":${JSON.stringify(item.name)},"arguments":${text}`,
    };
    const events = [this.#event(`${TEXT_EVENTS[item.kind]}.done`, told[item.kind])];
    if (item.kind !== 'call')
      events.push(this.#event('response.content_part.done', inPart(item, index, item.text)));
    const done = `"output_index":${index},"item":${itemJson(item, status)}`;
    events.push(this.#event('response.output_item.done', done));
    return events;
  }

  #event(type: string, members: string): string {
    return `event: ${type}\ndata: {"type":"${type}","sequence_number":${this.#events++},${members}}`;
  }
}

const inPart = (item: OutputItem, index: number, text: string): string =>
  `"item_id":"${item.id}","output_index":${index},"content_index":0,"part":${partJson(item, text)}`;
