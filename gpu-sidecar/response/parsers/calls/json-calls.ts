/**
 * `{"name": …, "arguments": {…}}`, one or many, with or without a list around them (Hermes, Llama, Granite, Phi-4, …).
 * Keys in any order; `parameters` is `arguments`; OpenAI's `{"function": {…}}` around it and arguments that are a string
 * of JSON are understood. Arguments stream as soon as the name is known. Text that is no call goes back as content.
 * Behind what breaks JSON, everything up to the end marker is dropped, since it is a piece of a call.
 */

import type { Markers } from '../markers.ts';
import type { PartSink } from '../part-sink.ts';
import type { CallReader } from './call-reader.ts';
import { JsonScanner } from './json-scanner.ts';

export class JsonCalls implements CallReader {
  done = false;
  #state: 'between' | 'key' | 'colon' | 'value' | 'broken' = 'between';
  readonly #end: Markers;
  #listed: boolean;
  #wrapped = false;
  #scanner: JsonScanner | null = null;
  /** The key whose value is read; null: the scanner reads a key. */
  #key: string | null = null;
  #collected = '';
  #id: string | undefined;
  #begun = false;
  /** Arguments that came before the name. */
  #early = '';
  #hasArguments = false;

  /** Without end markers a broken call swallows the rest of the answer. `listed`: the start marker opened the list. */
  constructor(end: Markers, { listed = false } = {}) {
    this.#listed = listed;
    this.#end = end;
  }

  read(text: string, from: number, out: PartSink): number {
    let at = from;
    while (at < text.length && !this.done) {
      if (this.#state === 'broken') {
        at = this.#end.find(text, at);
        if (this.#end.found === null) return at;
        at += this.#end.found.length;
        this.done = true;
      } else if (this.#scanner !== null) at = this.#scan(this.#scanner, text, at, out);
      else at = this.#structure(text, at, out);
    }
    return at;
  }

  /** One character between keys and values. */
  #structure(text: string, at: number, out: PartSink): number {
    const char = text[at]!;
    if (char <= ' ') return at + 1;
    if (this.#state === 'between') return this.#between(char, at);
    if (this.#state === 'key') {
      if (char === ',') return at + 1;
      if (char === '}') this.#close(out);
      else if (char === '"') this.#startScan(null);
      else this.#state = 'broken';
      return char === '}' ? at + 1 : at;
    }
    if (this.#state === 'colon') {
      this.#state = char === ':' ? 'value' : 'broken';
      return at + 1;
    }
    if (this.#key === 'function' && char === '{') {
      this.#wrapped = true;
      this.#state = 'key';
      return at + 1;
    }
    if (isArguments(this.#key) && char === '"') this.#key = 'arguments as text';
    this.#startScan(this.#key);
    return at;
  }

  #between(char: string, at: number): number {
    if (char === '{') {
      this.#state = 'key';
      this.#begun = this.#hasArguments = false;
      this.#id = undefined;
      this.#early = '';
    } else if (char === '[' && !this.#listed) this.#listed = true;
    else if (char === ']' && this.#listed) this.done = true;
    else if (char !== ',' && char !== ';') {
      this.done = true;
      return at;
    }
    return at + 1;
  }

  #startScan(key: string | null): void {
    this.#key = key;
    this.#collected = '';
    this.#scanner = new JsonScanner();
  }

  #scan(scanner: JsonScanner, text: string, from: number, out: PartSink): number {
    const at = scanner.scan(text, from);
    if (isArguments(this.#key)) this.#args(scanner.passed, out);
    else this.#collected += scanner.passed;
    if (scanner.broken) this.#state = 'broken';
    if (scanner.broken || scanner.done) this.#scanner = null;
    if (scanner.done) this.#valueDone(out);
    return at;
  }

  #valueDone(out: PartSink): void {
    if (this.#key === null) {
      this.#key = unquoted(this.#collected);
      this.#state = 'colon';
      return;
    }
    this.#state = 'key';
    if (this.#key === 'id') this.#id = unquoted(this.#collected);
    if (this.#key === 'arguments as text') this.#args(unquoted(this.#collected), out);
    if (this.#key === 'name' && !this.#begun) {
      this.#begun = true;
      out.call(unquoted(this.#collected), this.#id);
      out.args(this.#early);
    }
  }

  #args(text: string, out: PartSink): void {
    this.#hasArguments = true;
    if (this.#begun) out.args(text);
    else this.#early += text;
  }

  #close(out: PartSink): void {
    if (this.#wrapped) {
      this.#wrapped = false;
      return;
    }
    if (this.#begun && !this.#hasArguments) out.args('{}');
    this.#state = 'between';
  }
}

const isArguments = (key: string | null): boolean => key === 'arguments' || key === 'parameters';

/** The value of a JSON string; what is not quite one (a number as id, a bad escape) is taken as it stands. */
function unquoted(json: string): string {
  try {
    return String(JSON.parse(json));
  } catch {
    return json.replaceAll('"', '');
  }
}
