/** Behind `[TOOL_CALLS]`: a list of JSON calls (to v7), or `name[ARGS]{…}`, `name[CALL_ID]id[ARGS]{…}` (from v11). */

import { Markers } from '../markers.ts';
import type { PartSink } from '../part-sink.ts';
import type { CallReader } from './call-reader.ts';
import { JsonCalls } from './json-calls.ts';
import { namedJson } from './named-json.ts';

const NO_END = new Markers([]);
const newNamed = namedJson({ nameEnds: ['[ARGS]', '[CALL_ID]', '{'], end: null });

export class MistralCalls implements CallReader {
  #form: CallReader | null = null;

  get done(): boolean {
    return this.#form?.done ?? false;
  }

  read(text: string, from: number, out: PartSink): number {
    let at = from;
    while (this.#form === null && at < text.length) {
      const char = text[at]!;
      if (char <= ' ') at++;
      else if (char === '[' || char === '{') this.#form = new JsonCalls(NO_END);
      else this.#form = newNamed([]);
    }
    return this.#form?.read(text, at, out) ?? at;
  }
}
