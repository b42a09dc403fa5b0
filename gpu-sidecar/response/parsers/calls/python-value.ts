/**
 * One Python literal to JSON, character by character: quotes, `True`/`False`/`None`, tuples, trailing commas, keys that
 * are no strings, numbers as Python writes them. What is no literal (a name, a call, a set) breaks it.
 */

import { LIMITS } from '../../../../durable/runtime/limits.ts';
import { jsonInside } from './json-inside.ts';
import { textWriter } from './text-writer.ts';

const WORDS: Readonly<Record<string, string>> = {
  True: 'true',
  False: 'false',
  None: 'null',
  true: 'true',
  false: 'false',
  null: 'null',
};
const CLOSERS: Readonly<Record<string, string>> = { '[': ']', '(': ')', '{': '}' };
/** ASCII of words and numbers. */
const ATOM = new Uint8Array(128);
for (const char of 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+-')
  ATOM[char.charCodeAt(0)] = 1;

const HEX = /^[0-9a-fA-F]{2}$/;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** What a character of a string is in JSON, where it is not itself; and what a character behind a backslash makes. */
const ESCAPED: readonly (string | undefined)[] = Array.from({ length: 0x80 }, (_, code) =>
  code < 0x20 || code === QUOTE ? jsonInside(String.fromCharCode(code)) : undefined,
);
const ESCAPES: readonly string[] = Array.from({ length: 0x80 }, (_, code) => {
  const kind = String.fromCharCode(code);
  if ('nrtbf"\\u'.includes(kind)) return `\\${kind}`;
  if (kind === "'") return kind;
  return kind === '\n' ? '' : jsonInside(`\\${kind}`);
});

export class PythonValue {
  done = false;
  broken = false;
  /** JSON of what the last `scan` passed over. */
  passed = '';
  readonly #open: string[] = [];
  /** The quote of the string that is open, or empty. */
  #quote = '';
  #escape = '';
  #atom = '';
  /** A comma is written when something follows it. */
  #comma = false;
  /** In a dictionary: what comes next is a key. */
  #keyNext = false;
  /** A value stands here already: only a comma, a colon or a closing bracket may follow. */
  #full = false;

  /** Another value. */
  begin(): void {
    this.done = this.broken = this.#comma = this.#keyNext = this.#full = false;
    this.#quote = this.#escape = this.#atom = '';
    this.#open.length = 0;
  }

  /** Returns where it stopped: at the end of the text, behind the value, or at what broke it. */
  scan(text: string, from: number): number {
    this.passed = '';
    let at = from;
    while (at < text.length && !this.done && !this.broken) {
      if (this.#quote !== '') at = this.#string(text, at);
      else if (this.#plain(text[at]!)) at++;
    }
    return at;
  }

  /** Up to the end of the string, or of the text; short strings without anything special are a slice. */
  #string(text: string, from: number): number {
    const quote = this.#quote.charCodeAt(0);
    let writing = false;
    let kept = from;
    let at = from;
    const write = (json: string) => {
      if (!writing) textWriter.begin();
      writing = true;
      textWriter.copy(text, kept, at);
      textWriter.copy(json, 0, json.length);
    };
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at);
      const json = ESCAPED[code];
      if (this.#escape !== '') {
        write(this.#escaped(text, at));
        kept = at + 1;
      } else if (code === BACKSLASH) {
        write('');
        this.#escape = '\\';
        kept = at + 1;
      } else if (code === quote) break;
      else if (json !== undefined) {
        write(json);
        kept = at + 1;
      }
    }
    const closed = at < text.length;
    if (writing) {
      textWriter.copy(text, kept, at);
      this.passed += textWriter.take();
    } else this.passed += text.slice(from, at);
    if (!closed) return at;
    this.passed += '"';
    this.#quote = '';
    this.#valueDone();
    return at + 1;
  }

  /** What the escape is in JSON once this character has ended it; empty before that. The character is consumed. */
  #escaped(text: string, at: number): string {
    if (this.#escape.length === 1 && text[at] !== 'x') {
      this.#escape = '';
      return ESCAPES[text.charCodeAt(at)] ?? jsonInside(`\\${text[at]}`);
    }
    this.#escape += text[at];
    if (this.#escape.length < 4) return '';
    const digits = this.#escape.slice(2);
    const json = HEX.test(digits) ? `\\u00${digits}` : jsonInside(this.#escape);
    this.#escape = '';
    return json;
  }

  /** Whether the character was consumed. */
  #plain(char: string): boolean {
    if (this.#full && this.#open.length === 0) {
      this.done = true;
      return false;
    }
    if (!this.#full && ATOM[char.charCodeAt(0)] === 1) {
      this.#atom += char;
      return true;
    }
    if (this.#atom !== '') {
      this.#atomDone();
      return false;
    }
    if (char <= ' ') return true;
    const within = this.#open.at(-1);
    if (char === within && within === '}' && !this.#keyNext && !this.#full) this.broken = true;
    else if (char === within) {
      this.#open.pop();
      this.passed += char === '}' ? '}' : ']';
      this.#comma = this.#keyNext = false;
      this.#valueDone();
    } else if (this.#full) this.#between(char, within);
    else this.#begin(char);
    return !this.broken;
  }

  #between(char: string, within: string | undefined): void {
    if (char === ':' && within === '}' && this.#keyNext) {
      this.passed += ': ';
      this.#keyNext = false;
    } else if (char === ',' && !(within === '}' && this.#keyNext)) {
      this.#comma = true;
      this.#keyNext = within === '}';
    } else this.broken = true;
    this.#full = false;
  }

  #begin(char: string): void {
    const closer = CLOSERS[char];
    if (char === '"' || char === "'") {
      this.#write('"');
      this.#quote = char;
    } else if (closer !== undefined && !this.#keyNext && this.#open.length < LIMITS.toolArgumentDepth) {
      this.#write(closer === '}' ? '{' : '[');
      this.#open.push(closer);
      this.#keyNext = closer === '}';
    } else this.broken = true;
  }

  #atomDone(): void {
    const json = atomJson(this.#atom);
    this.#atom = '';
    if (json === null) this.broken = true;
    else {
      this.#write(this.#keyNext ? JSON.stringify(json) : json);
      this.#valueDone();
    }
  }

  #valueDone(): void {
    this.#full = true;
    // A list in a dictionary: behind it comes a comma, then a key.
    this.done = this.#open.length === 0;
  }

  #write(json: string): void {
    this.passed += this.#comma ? `, ${json}` : json;
    this.#comma = false;
  }
}

/** A word or a number; null: neither. */
function atomJson(atom: string): string | null {
  if (Object.hasOwn(WORDS, atom)) return WORDS[atom]!;
  // To the letter, however large.
  if (/^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$/.test(atom)) return atom;
  const number = Number(atom.replaceAll('_', ''));
  return /^[-+.]?\d/.test(atom) && Number.isFinite(number) ? String(number) : null;
}
