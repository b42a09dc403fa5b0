/**
 * A call as tags: a name, then parameters as plain text between tags (Qwen3-Coder, GLM-4.5, MiniMax-M2, DeepSeek-V3.2).
 * Parameters that the tool's schema calls strings stream; the others wait for their end, since only then their type is
 * certain. The JSON object is written in the order of the parameters.
 */

import { Markers } from '../markers.ts';
import type { ToolSpec } from '../parser.ts';
import type { PartSink } from '../part-sink.ts';
import type { CallReader, MakeCallReader } from './call-reader.ts';
import { jsonInside } from './json-inside.ts';
import { isStringParameter, looseJson } from './parameter-types.ts';

export interface XmlShape {
  /** Ends the name; the next parameter and the end of the call do so too. */
  nameEnd: string;
  parameter: string;
  keyEnd: string;
  /** Stands between key and value; null: nothing does. */
  valueStart: string | null;
  valueEnd: string;
  end: string;
  /** One line feed at each end of a value belongs to the tags. */
  padded: boolean;
}

type State = 'name' | 'between' | 'key' | 'gap' | 'value';

type Ends = Readonly<Record<State, Markers>>;

/** Readers of this shape. */
export function xmlCalls(shape: XmlShape): MakeCallReader {
  const ends: Ends = {
    name: new Markers([shape.nameEnd, shape.parameter, shape.end]),
    between: new Markers([shape.parameter, shape.end]),
    key: new Markers([shape.keyEnd]),
    gap: new Markers([shape.valueStart ?? shape.valueEnd]),
    value: new Markers([shape.valueEnd]),
  };
  return (tools) => new XmlCalls(shape, ends, tools);
}

class XmlCalls implements CallReader {
  done = false;
  readonly #shape: XmlShape;
  readonly #tools: readonly ToolSpec[];
  readonly #ends: Ends;
  #state: State = 'name';
  #collected = '';
  #name = '';
  #parameters = 0;
  #streams = false;
  #valueBegun = false;
  #lineFeedHeld = false;

  constructor(shape: XmlShape, ends: Ends, tools: readonly ToolSpec[]) {
    this.#shape = shape;
    this.#ends = ends;
    this.#tools = tools;
  }

  read(text: string, from: number, out: PartSink): number {
    let at = from;
    while (at < text.length && !this.done) {
      const markers = this.#ends[this.#state];
      const stop = markers.find(text, at);
      if (this.#state === 'value') this.#value(text.slice(at, stop), out);
      else if (this.#state === 'name' || this.#state === 'key') this.#collected += text.slice(at, stop);
      if (markers.found === null) return stop;
      at = stop + markers.found.length;
      this.#marker(markers.found, out);
    }
    return at;
  }

  #marker(found: string, out: PartSink): void {
    const { shape, state } = { shape: this.#shape, state: this.#state };
    if (state === 'name') {
      this.#name = quoted(this.#collected);
      // GLM writes a line feed before some names, too.
      if (this.#name === '' && found === '\n') return;
      if (this.#name !== '') out.call(this.#name);
    }
    if (state === 'key') this.#keyDone(out);
    else if (state === 'gap') this.#state = 'value';
    else if (state === 'value') this.#valueDone(out);
    else if (found === shape.end) this.#callDone(out);
    else {
      this.#state = found === shape.parameter ? 'key' : 'between';
      this.#collected = '';
    }
  }

  #keyDone(out: PartSink): void {
    const key = quoted(this.#collected);
    const declared = stringAttribute(this.#collected);
    this.#streams = declared ?? isStringParameter(this.#tools, this.#name, key);
    const opening = this.#parameters++ === 0 ? '{' : ', ';
    this.#args(`${opening}${JSON.stringify(key)}: ${this.#streams ? '"' : ''}`, out);
    this.#collected = '';
    this.#valueBegun = this.#lineFeedHeld = false;
    this.#state = this.#shape.valueStart === null ? 'value' : 'gap';
  }

  #value(piece: string, out: PartSink): void {
    let text = this.#lineFeedHeld ? `\n${piece}` : piece;
    if (text === '') return;
    if (this.#shape.padded) {
      if (!this.#valueBegun && text.startsWith('\n')) text = text.slice(1);
      this.#lineFeedHeld = text.endsWith('\n');
      if (this.#lineFeedHeld) text = text.slice(0, -1);
      this.#valueBegun = true;
    }
    if (this.#streams) this.#args(jsonInside(text), out);
    else this.#collected += text;
  }

  #valueDone(out: PartSink): void {
    this.#args(this.#streams ? '"' : looseJson(this.#collected), out);
    this.#collected = '';
    this.#state = 'between';
  }

  #callDone(out: PartSink): void {
    this.#args(this.#parameters === 0 ? '{}' : '}', out);
    this.done = true;
  }

  /** A call without a name is none. */
  #args(text: string, out: PartSink): void {
    if (this.#name !== '') out.args(text);
  }
}

/** `"city" string="true"` and ` city ` → `city`. */
function quoted(head: string): string {
  const text = head.trim();
  return text.startsWith('"') ? text.slice(1).split('"', 1)[0]! : text;
}

/** DeepSeek-V3.2 says of each parameter whether it is a string. */
function stringAttribute(head: string): boolean | undefined {
  if (head.includes(' string="true"')) return true;
  return head.includes(' string="false"') ? false : undefined;
}
