/**
 * Collects parts and joins neighbours. White space that touches markup is part of the markup: it is held back until
 * something else follows, so that `\n\n<tool_call>` and `</think>\n\n` leave no blank lines behind.
 */

import type { ContentPart } from './parser.ts';

export class PartSink {
  #parts: ContentPart[] = [];
  #space = '';
  #touchesMarkup = false;
  #calls = 0;
  #wroteContent = false;

  /** Whether an answer that begins here is the first thing said to the user. */
  get atStart(): boolean {
    return !this.#wroteContent;
  }

  /** Index of the call that was begun last; -1: none. */
  get lastCall(): number {
    return this.#calls - 1;
  }

  text(kind: 'content' | 'reasoning', piece: string): void {
    const text = this.#touchesMarkup ? piece.trimStart() : piece;
    if (text === '') return;
    this.#touchesMarkup = false;
    const body = isSpace(text.charCodeAt(text.length - 1)) ? text.trimEnd() : text;
    if (body === '') {
      this.#space += text;
      return;
    }
    this.#add(kind, this.#space + body);
    this.#space = body.length === text.length ? '' : text.slice(body.length);
  }

  markup(): void {
    this.#space = '';
    this.#touchesMarkup = true;
  }

  call(name: string, id?: string): void {
    const index = this.#calls++;
    this.#parts.push(
      id === undefined ? { kind: 'tool_call', index, name } : { kind: 'tool_call', index, id, name },
    );
  }

  /** Arguments of the last call. */
  args(text: string): void {
    if (text === '') return;
    const last = this.#parts.at(-1);
    if (last?.kind === 'tool_arguments') last.text += text;
    else this.#parts.push({ kind: 'tool_arguments', index: this.lastCall, text });
  }

  /** White space at the end that touches no markup is text. */
  flush(kind: 'content' | 'reasoning'): void {
    if (this.#space !== '') this.#add(kind, this.#space);
    this.#space = '';
  }

  take(): ContentPart[] {
    const parts = this.#parts;
    this.#parts = [];
    return parts;
  }

  #add(kind: 'content' | 'reasoning', text: string): void {
    if (kind === 'content') this.#wroteContent = true;
    const last = this.#parts.at(-1);
    if (last?.kind === kind) last.text += text;
    else this.#parts.push({ kind, text });
  }
}

/** As `trimEnd` sees it; exact only where it is cheap, since it only saves the call. */
function isSpace(code: number): boolean {
  return code <= 0x20 || code >= 0xa0;
}
