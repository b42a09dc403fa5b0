/**
 * One Python literal to JSON, character by character: quotes, `True`/`False`/`None`, tuples, trailing commas, keys that
 * are no strings, numbers as Python writes them. What is no literal (a name, a call, a set) breaks it.
 */

import { LIMITS } from '../../../../durable/runtime/limits.ts';

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
/** Escapes that mean the same in JSON. */
const SHARED_ESCAPES = 'nrtbf"\\u';

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

  #string(text: string, from: number): number {
    if (this.#escape !== '') {
      this.#escape += text[from];
      this.#escaped();
      return from + 1;
    }
    let at = from;
    while (at < text.length && text[at] !== this.#quote && text[at] !== '\\') at++;
    this.passed += JSON.stringify(text.slice(from, at)).slice(1, -1);
    if (at === text.length) return at;
    if (text[at] === '\\') this.#escape = '\\';
    else {
      this.passed += '"';
      this.#quote = '';
      this.#valueDone();
    }
    return at + 1;
  }

  #escaped(): void {
    const kind = this.#escape[1]!;
    if (kind === 'x' && this.#escape.length < 4) return;
    if (kind === 'x') {
      const digits = this.#escape.slice(2);
      this.passed += HEX.test(digits) ? `\\u00${digits}` : JSON.stringify(this.#escape).slice(1, -1);
    } else if (SHARED_ESCAPES.includes(kind)) this.passed += this.#escape;
    else if (kind === "'") this.passed += kind;
    else if (kind !== '\n') this.passed += JSON.stringify(this.#escape).slice(1, -1);
    this.#escape = '';
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
  const number = Number(atom.replaceAll('_', ''));
  if (!/^[-+.]?\d/.test(atom) || !Number.isFinite(number)) return null;
  return /^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$/.test(atom) ? atom : String(number);
}
