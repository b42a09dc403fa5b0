/**
 * A streamed message of Anthropic's (https://docs.claude.com/en/docs/build-with-claude/streaming): the message begins,
 * its blocks follow one another, each with a start, deltas and a stop, then come the reason of the end and the usage.
 */

import type { ChoiceEnd, ChunkEncoder, EventLines, MakeChunkEncoder } from '../encoder.ts';
import type { ResponseFacts } from '../facts.ts';
import type { ContentPart } from '../parsers/parser.ts';
import type { Usage } from '../usage.ts';
import { anthropicUsage, signatureOf, stopMembers, toolUseId } from './anthropic-blocks.ts';

type BlockType = 'text' | 'thinking' | 'tool_use';

const DELTA = 'event: content_block_delta\ndata: {"type":"content_block_delta","index":';

export const anthropicEvents: MakeChunkEncoder = (facts) => new AnthropicEvents(facts);

class AnthropicEvents implements ChunkEncoder {
  readonly #facts: ResponseFacts;
  /** Of the block that is open, or was last. */
  #index = -1;
  #open: BlockType | null = null;
  #end: ChoiceEnd = { reason: 'stop', stopString: null };

  constructor(facts: ResponseFacts) {
    this.#facts = facts;
  }

  begin(cachedTokens: number): EventLines {
    const { responseId, model, promptTokens } = this.#facts;
    const usage = anthropicUsage({ promptTokens, cachedTokens, completionTokens: 0 });
    const message =
      `{"id":${JSON.stringify(responseId)},"type":"message","role":"assistant","model":${JSON.stringify(model)},` +
      `"content":[],"stop_reason":null,"stop_sequence":null,"usage":${usage}}`;
    return [event('message_start', `"message":${message}`), 'event: ping\ndata: {"type":"ping"}'];
  }

  text(text: string): EventLines {
    return this.#delta('text', '"text_delta","text":', text);
  }

  /** Anthropic has no log probabilities. */
  logged(text: string): EventLines {
    return text === '' ? [] : this.text(text);
  }

  part(part: ContentPart): EventLines {
    switch (part.kind) {
      case 'content':
        return this.text(part.text);
      case 'reasoning':
        return this.#delta('thinking', '"thinking_delta","thinking":', part.text);
      case 'tool_call': {
        const [id, name] = [toolUseId(part, this.#facts), part.name];
        const block = JSON.stringify({ type: 'tool_use', id, name, input: {} });
        return this.#start('tool_use', block);
      }
      case 'tool_arguments':
        return [this.#deltaLines('"input_json_delta","partial_json":', part.text)];
    }
  }

  finish(end: ChoiceEnd): EventLines {
    this.#end = end;
    return this.#closeBlock();
  }

  close(usage: Usage): EventLines {
    const stop = stopMembers(this.#end, this.#facts, usage);
    const members = `"delta":{${stop}},"usage":${anthropicUsage(usage)}`;
    return [event('message_delta', members), 'event: message_stop\ndata: {"type":"message_stop"}'];
  }

  #delta(type: 'text' | 'thinking', head: string, text: string): EventLines {
    if (this.#open === type) return [this.#deltaLines(head, text)];
    const start = this.#start(type, type === 'text' ? EMPTY_TEXT : EMPTY_THINKING);
    return [...start, this.#deltaLines(head, text)];
  }

  #deltaLines(head: string, text: string): string {
    return `${DELTA}${this.#index},"delta":{"type":${head}${JSON.stringify(text)}}}`;
  }

  #start(type: BlockType, block: string): EventLines {
    const closing = this.#closeBlock();
    this.#open = type;
    this.#index++;
    return [...closing, event('content_block_start', `"index":${this.#index},"content_block":${block}`)];
  }

  #closeBlock(): EventLines {
    if (this.#open === null) return [];
    const stop = event('content_block_stop', `"index":${this.#index}`);
    const signed = this.#open === 'thinking';
    this.#open = null;
    if (!signed) return [stop];
    return [this.#deltaLines('"signature_delta","signature":', signatureOf(this.#facts)), stop];
  }
}

const EMPTY_TEXT = '{"type":"text","text":""}';
const EMPTY_THINKING = '{"type":"thinking","thinking":"","signature":""}';

const event = (type: string, members: string): string =>
  `event: ${type}\ndata: {"type":"${type}",${members}}`;
