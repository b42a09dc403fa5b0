/** `[get_weather(city="Zürich", days=2), now()]`: Python calls with literals by keyword (Llama 4, Olmo 3, LFM2). */

import type { PartSink } from '../part-sink.ts';
import type { CallReader } from './call-reader.ts';
import { PythonValue } from './python-value.ts';

/** ASCII of Python's words. */
const WORD = new Uint8Array(128);
for (const char of 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_')
  WORD[char.charCodeAt(0)] = 1;
const SPACE = 0x20;
const OPEN = '('.charCodeAt(0);

type State = 'list' | 'between' | 'name' | 'key' | 'value' | 'after value' | 'broken';

export class PythonicCalls implements CallReader {
  done = false;
  #state: State = 'list';
  #word = '';
  #parameters = 0;
  /** One for all values: a list may have very many. */
  readonly #value = new PythonValue();

  read(text: string, from: number, out: PartSink): number {
    let at = from;
    while (at < text.length && !this.done) {
      if (this.#state === 'broken') return text.length;
      const value = this.#value;
      if (this.#state === 'value') {
        at = value.scan(text, at);
        out.args(value.passed);
        if (value.done) this.#state = 'after value';
        if (value.broken) this.#state = 'broken';
      } else {
        at = this.#passWord(text, at);
        if (at < text.length) at += this.#char(text[at]!, out);
      }
    }
    return at;
  }

  /** Up to what ends a name or a key, if one is being read. */
  #passWord(text: string, from: number): number {
    const isName = this.#state === 'name';
    if (!isName && this.#state !== 'key') return from;
    let at = from;
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (isName ? code <= SPACE || code === OPEN : WORD[code] !== 1) break;
    }
    if (at > from) this.#word += text.slice(from, at);
    return at;
  }

  /** How many characters were consumed. */
  #char(char: string, out: PartSink): 0 | 1 {
    if (char <= ' ') return 1;
    const state = this.#state;
    if (state === 'list') {
      if (char === '[') this.#state = 'between';
      else this.done = true;
      return char === '[' ? 1 : 0;
    }
    if (state === 'between') {
      if (char === ']') this.done = true;
      else if (char !== ',') this.#startWord('name', char);
    } else if (state === 'name') {
      this.#open(out);
    } else if (char === ')' && (state === 'after value' || this.#word === '')) {
      out.args(this.#parameters === 0 ? '{}' : '}');
      this.#state = 'between';
    } else if (state === 'after value') {
      this.#state = char === ',' ? 'key' : 'broken';
      this.#word = '';
    } else if (char === '=') this.#startValue(out);
    else this.#state = 'broken';
    return 1;
  }

  #startWord(state: State, char: string): void {
    this.#word = char;
    this.#state = state;
  }

  #open(out: PartSink): void {
    out.call(this.#word);
    this.#word = '';
    this.#parameters = 0;
    this.#state = 'key';
  }

  #startValue(out: PartSink): void {
    out.args(`${this.#parameters++ === 0 ? '{' : ', '}${JSON.stringify(this.#word)}: `);
    this.#value.begin();
    this.#state = 'value';
  }
}
