/**
 * The engine for all families whose answers are text with marked segments: content, reasoning, calls.
 *
 * Outside calls it looks for the families' markers; behind a start marker a reader takes over until its call is done.
 * A start marker of a call ends the reasoning, too, since models forget to close it. A closing marker that closes
 * nothing is dropped. Everything held back is a possible marker, or the head of a bare call (`bare-call.ts`).
 */

import type { AnswerEnd } from '../answer.ts';
import type { CallReader, MakeCallReader } from './calls/call-reader.ts';
import { isCutMarkup, Markers } from './markers.ts';
import type { ContentParser, ContentPart, ToolSpec } from './parser.ts';
import { PartSink } from './part-sink.ts';
import type { ReasoningFamily } from './reasoning-families.ts';
import type { ToolCallFamily } from './tool-call-families.ts';

interface SegmentOptions {
  calls: ToolCallFamily | null;
  reasoning: ReasoningFamily | null;
  reasoningOpen: boolean;
  tools: readonly ToolSpec[];
}

export class SegmentParser implements ContentParser {
  readonly #options: SegmentOptions;
  readonly #markers: Markers;
  /** What a marker does; those that are not here are dropped. */
  readonly #meanings = new Map<string, MakeCallReader | 'content' | 'reasoning'>();
  readonly #out = new PartSink();
  #kind: 'content' | 'reasoning';
  #reader: CallReader | null = null;
  #held = '';

  constructor(options: SegmentOptions) {
    const { calls, reasoning } = options;
    this.#options = options;
    this.#markers = new Markers([
      ...Object.keys(calls?.starts ?? {}),
      ...(calls?.silent ?? []),
      ...(reasoning?.opens ?? []),
      ...(reasoning?.closes ?? []),
    ]);
    for (const marker of reasoning?.closes ?? []) this.#meanings.set(marker, 'content');
    for (const marker of reasoning?.opens ?? []) this.#meanings.set(marker, 'reasoning');
    for (const [marker, start] of Object.entries(calls?.starts ?? {})) this.#meanings.set(marker, start);
    this.#kind = options.reasoningOpen ? 'reasoning' : 'content';
    if (options.reasoningOpen) this.#out.markup();
  }

  push(piece: string): ContentPart[] {
    this.#read(this.#held === '' ? piece : this.#held + piece);
    return this.#out.take();
  }

  end(reason: AnswerEnd): ContentPart[] {
    const held = this.#held;
    this.#held = '';
    if (this.#reader === null) {
      if (!isCutMarkup(held, reason)) this.#out.text(this.#kind, held);
      this.#out.flush(this.#kind);
    }
    return this.#out.take();
  }

  #read(text: string): void {
    let at = 0;
    while (at < text.length) {
      const reader = this.#reader;
      const stop = reader === null ? this.#text(text, at) : this.#call(reader, text, at);
      const waits = stop === at && reader === this.#reader;
      at = stop;
      if (waits) break;
    }
    this.#held = at === text.length ? '' : text.slice(at);
  }

  #call(reader: CallReader, text: string, from: number): number {
    const at = reader.read(text, from, this.#out);
    if (reader.done) {
      this.#reader = null;
      this.#out.markup();
    }
    return at;
  }

  #text(text: string, from: number): number {
    const { bare } = this.#options.calls ?? {};
    let start = from;
    if (bare !== undefined && this.#kind === 'content' && this.#out.atStart) {
      while (start < text.length && text[start]! <= ' ') start++;
      this.#out.text('content', text.slice(from, start));
      const verdict = text[start] === bare.first ? bare.is(text.slice(start), this.#options.tools) : 'text';
      if (verdict === 'open') return start;
      if (verdict === 'call') {
        this.#startCall(bare.read(this.#options.tools));
        return start;
      }
    }
    const stop = this.#markers.find(text, start);
    this.#out.text(this.#kind, text.slice(start, stop));
    const found = this.#markers.found;
    if (found === null) return stop;
    this.#marker(found);
    return stop + found.length;
  }

  #marker(found: string): void {
    this.#out.markup();
    const meaning = this.#meanings.get(found);
    if (meaning === undefined) return;
    if (typeof meaning === 'string') this.#kind = meaning;
    else this.#startCall(meaning(this.#options.tools));
  }

  #startCall(reader: CallReader): void {
    this.#out.markup();
    this.#reader = reader;
    this.#kind = 'content';
  }
}
