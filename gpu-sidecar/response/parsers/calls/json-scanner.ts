/**
 * Follows one JSON value to its end, to the letter as the model wrote it; only raw control characters in strings, which
 * models write and JSON forbids, are escaped. Knows brackets and strings, no more: what is between them is the model's.
 */

import { textWriter } from './text-writer.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** ASCII that may stand outside strings: brackets, commas, colons, numbers, letters, white space. */
const OUTSIDE = new Uint8Array(128);
for (const char of '{}[],:+-.0123456789 \t\r\nabcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_') {
  OUTSIDE[char.charCodeAt(0)] = 1;
}

/** Control characters as JSON writes them. */
const CONTROL = Array.from({ length: 0x20 }, (_, code) =>
  JSON.stringify(String.fromCharCode(code)).slice(1, -1),
);

export class JsonScanner {
  #depth = 0;
  #inString = false;
  #escaped = false;
  #begun = false;
  done = false;
  /** A character came that no JSON has there. */
  broken = false;
  /** What the last `scan` passed over. */
  passed = '';

  /** Returns where it stopped: at the end of the text, behind the value, or before what broke it. */
  scan(text: string, from: number): number {
    let escaping = false;
    let kept = from;
    let at = from;
    for (; at < text.length && !this.done && !this.broken; at++) {
      const code = text.charCodeAt(at);
      if (this.#inString) {
        if (code < 0x20) {
          if (!escaping) textWriter.begin();
          escaping = true;
          textWriter.copy(text, kept, at);
          if (this.#escaped) textWriter.copy('\\', 0, 1);
          textWriter.copy(CONTROL[code]!, 0, CONTROL[code]!.length);
          this.#escaped = false;
          kept = at + 1;
        } else if (this.#escaped) this.#escaped = false;
        else if (code === BACKSLASH) this.#escaped = true;
        else if (code === QUOTE) {
          this.#inString = false;
          this.done = this.#depth === 0;
        }
      } else if (this.#outside(code)) break;
    }
    if (escaping) {
      textWriter.copy(text, kept, at);
      this.passed = textWriter.take();
    } else this.passed = text.slice(from, at);
    return at;
  }

  /** Whether the character is not of the value: it ended before, or is broken. */
  #outside(code: number): boolean {
    if (code === QUOTE) {
      this.#inString = true;
      this.#begun = true;
      return false;
    }
    if (code >= 128 || OUTSIDE[code] === 0) {
      this.broken = true;
      return true;
    }
    if (code === 0x7b || code === 0x5b) {
      this.#depth++;
    } else if (code === 0x7d || code === 0x5d) {
      if (this.#depth === 0) {
        this.done = true;
        return true;
      }
      this.#depth--;
      this.done = this.#depth === 0;
    } else if (this.#depth === 0 && (code === 0x2c || (code <= 0x20 && this.#begun))) {
      this.done = true;
      return true;
    }
    if (code > 0x20) this.#begun = true;
    return false;
  }
}
