/**
 * gpt-oss: the whole answer is messages, each a header of channel and recipient and then a body.
 *
 *     <|channel|>analysis<|message|>…<|end|>                                          reasoning
 *     <|start|>assistant<|channel|>commentary to=functions.NAME <|constrain|>json<|message|>{…}<|call|>
 *     <|start|>assistant<|channel|>final<|message|>…<|return|>                       content
 *
 * Text before the first header is content: the template may have written the header.
 */

import type { AnswerEnd } from '../answer.ts';
import { isCutMarkup, Markers } from './markers.ts';
import type { ContentParser, ContentPart } from './parser.ts';
import { PartSink } from './part-sink.ts';

export const HARMONY_MARKERS = [
  '<|start|>',
  '<|channel|>',
  '<|constrain|>',
  '<|message|>',
  '<|end|>',
  '<|return|>',
  '<|call|>',
] as const;

export class HarmonyParser implements ContentParser {
  readonly #markers = new Markers(HARMONY_MARKERS);
  readonly #out = new PartSink();
  #body: 'header' | 'content' | 'reasoning' | 'call' = 'content';
  #header = '';
  #held = '';

  constructor(options: { reasoningOpen: boolean }) {
    if (options.reasoningOpen) this.#body = 'reasoning';
  }

  push(piece: string): ContentPart[] {
    const text = this.#held + piece;
    let at = 0;
    for (;;) {
      const stop = this.#markers.find(text, at);
      this.#text(text.slice(at, stop));
      if (this.#markers.found === null) {
        this.#held = text.slice(stop);
        return this.#out.take();
      }
      at = stop + this.#markers.found.length;
      this.#marker(this.#markers.found);
    }
  }

  end(reason: AnswerEnd): ContentPart[] {
    // Of cut arguments only what was certain is given.
    const dropped = this.#body === 'call' ? reason === 'length' : isCutMarkup(this.#held, reason);
    if (!dropped) this.#text(this.#held);
    this.#held = '';
    if (this.#body === 'content' || this.#body === 'reasoning') this.#out.flush(this.#body);
    return this.#out.take();
  }

  #text(text: string): void {
    if (this.#body === 'header') this.#header += text;
    else if (this.#body === 'call') this.#out.args(text);
    else this.#out.text(this.#body, text);
  }

  #marker(found: string): void {
    this.#out.markup();
    if (found === '<|message|>') {
      this.#startBody();
      return;
    }
    // A header may begin with its channel, and its parts stand apart.
    this.#header = this.#body === 'header' ? `${this.#header} ${found} ` : `${found} `;
    this.#body = 'header';
  }

  #startBody(): void {
    const header = this.#header;
    const words = header.split(/\s/);
    const recipient = words.find((word) => word.startsWith('to='))?.slice('to='.length);
    if (recipient !== undefined && recipient !== '' && recipient !== 'assistant') {
      this.#out.call(recipient.startsWith('functions.') ? recipient.slice('functions.'.length) : recipient);
      this.#body = 'call';
    } else this.#body = words.includes('analysis') ? 'reasoning' : 'content';
    this.#header = '';
  }
}
