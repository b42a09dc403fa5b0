/**
 * A name, a separator, then the arguments as JSON: DeepSeek, Kimi K2, Mistral from v11 on, Llama's `<function=…>`.
 * Text between separator and JSON (DeepSeek V3's code fence) and between JSON and end marker is dropped.
 */

import { Markers } from '../markers.ts';
import type { PartSink } from '../part-sink.ts';
import type { CallReader, MakeCallReader } from './call-reader.ts';
import { JsonScanner } from './json-scanner.ts';

interface NamedJsonShape {
  /** What ends the name. `{` is not consumed. */
  nameEnds: readonly string[];
  /** Null: the call ends with its JSON. */
  end: string | null;
  /** Kimi K2 writes `functions.NAME:INDEX`, which is the id too. */
  idIsName?: boolean;
}

interface Ends {
  head: Markers;
  gap: Markers;
  tail: Markers;
}

/** Readers of this shape. */
export function namedJson(shape: NamedJsonShape): MakeCallReader {
  const ends = shape.end === null ? [] : [shape.end];
  const markers: Ends = {
    head: new Markers([...shape.nameEnds, ...ends]),
    gap: new Markers(['{', ...ends]),
    tail: new Markers(ends),
  };
  return () => new NamedJson(shape, markers);
}

class NamedJson implements CallReader {
  done = false;
  readonly #shape: NamedJsonShape;
  readonly #ends: Ends;
  readonly #json = new JsonScanner();
  #state: 'head' | 'gap' | 'json' | 'tail' = 'head';
  #head = '';
  /** Read, but an id is to come. */
  #name: string | null = null;

  constructor(shape: NamedJsonShape, ends: Ends) {
    this.#shape = shape;
    this.#ends = ends;
  }

  read(text: string, from: number, out: PartSink): number {
    let at = from;
    while (at < text.length && !this.done) {
      if (this.#state === 'json') {
        at = this.#json.scan(text, at);
        out.args(this.#json.passed);
        if (this.#json.done || this.#json.broken) this.#state = 'tail';
        if (this.#json.done && this.#shape.end === null) this.done = true;
        continue;
      }
      const markers = this.#ends[this.#state];
      const stop = markers.find(text, at);
      if (this.#state === 'head') this.#head += text.slice(at, stop);
      if (markers.found === null) return stop;
      at = stop + (markers.found === '{' ? 0 : markers.found.length);
      this.#marker(markers.found, out);
    }
    return at;
  }

  #marker(found: string, out: PartSink): void {
    if (this.#state === 'head') this.#headDone(found, out);
    else if (this.#state === 'gap' && found !== '{') out.args('{}');
    if (found === this.#shape.end) this.done = true;
    else if (found === '{' && this.#state === 'gap') this.#state = 'json';
  }

  #headDone(found: string, out: PartSink): void {
    const head = this.#head.trim();
    this.#head = '';
    // DeepSeek V3 says the kind of the call first, V3.1 does not; blank lines before a name are nobody's.
    if (this.#name === null && (head === 'function' || (head === '' && found === '\n'))) return;
    if (found === '[CALL_ID]') {
      this.#name = head;
      return;
    }
    const name = this.#name ?? (this.#shape.idIsName ? bareName(head) : head);
    const id = this.#name !== null || this.#shape.idIsName ? head : undefined;
    this.#state = name === '' ? 'tail' : 'gap';
    if (name === '') return;
    out.call(name, id);
    if (found === this.#shape.end) out.args('{}');
  }
}

/** `functions.get_weather:0` → `get_weather`. */
function bareName(id: string): string {
  const colon = id.lastIndexOf(':');
  const head = colon === -1 ? id : id.slice(0, colon);
  return head.startsWith('functions.') ? head.slice('functions.'.length) : head;
}
