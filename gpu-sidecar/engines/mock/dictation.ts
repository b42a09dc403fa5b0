/**
 * An answer that the prompt dictates: what stands last between « and » in it. So a client's test has a model that says
 * what the test needs (a call of a tool, reasoning, a stop string), while every part of the way but the model is real.
 *
 * Pure: the same prompt gives the same tokens on every worker.
 */

import type { Vocabulary } from '../engine.ts';

/** The answer's tokens; null where the prompt dictates nothing. */
export type Dictation = (prompt: Uint32Array) => Uint32Array | null;

/** Latin 1 throughout: one character a byte. */
const [OPEN, CLOSE] = [Buffer.from('«').toString('latin1'), Buffer.from('»').toString('latin1')];

/** Every byte must be a token of the vocabulary. */
export function dictationOf(vocabulary: Vocabulary): Dictation {
  const ids = new Map<string, number>();
  let longest = 1;
  for (let id = 0; id < vocabulary.size; id++) {
    if (vocabulary.isControl(id) || vocabulary.isEndOfGeneration(id)) continue;
    const bytes = Buffer.from(vocabulary.tokenBytes(id)).toString('latin1');
    if (bytes === '' || ids.has(bytes)) continue;
    ids.set(bytes, id);
    longest = Math.max(longest, bytes.length);
  }

  /** The longest token first. */
  const spelt = (text: string): Uint32Array => {
    const tokens: number[] = [];
    for (let at = 0; at < text.length; ) {
      let length = Math.min(longest, text.length - at);
      while (length > 1 && !ids.has(text.slice(at, at + length))) length--;
      tokens.push(ids.get(text.slice(at, at + length))!);
      at += length;
    }
    return Uint32Array.from(tokens);
  };

  return (prompt) => {
    const text = Buffer.concat(Array.from(prompt, (id) => vocabulary.tokenBytes(id))).toString('latin1');
    const end = text.lastIndexOf(CLOSE);
    const start = text.lastIndexOf(OPEN, end);
    return start < 0 || end < 0 ? null : spelt(text.slice(start + OPEN.length, end));
  };
}
