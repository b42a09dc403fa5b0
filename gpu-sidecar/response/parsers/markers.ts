/**
 * Finds the first of a few fixed strings in text that comes in pieces: an Aho-Corasick automaton, one table read per
 * character whatever the text. A tail that may be the beginning of a marker is held back, so where text was cut decides
 * nothing. No marker contains another.
 */

import type { AnswerEnd } from '../answer.ts';

interface Automaton {
  /** High byte of a character's code → low byte → column; 0: in no marker. Most pages are the one of zeros. */
  pages: readonly Uint8Array[];
  width: number;
  /** state × column → state; 0 is the root. */
  next: Uint16Array;
  /** Length of the marker's beginning that a state stands for. */
  depth: Uint16Array;
  /** The marker that ends in a state. */
  marker: (string | null)[];
  /** Set if all markers begin with it. */
  firstChar: string | null;
}

const NO_COLUMNS = new Uint8Array(256);

/** One per set of markers; all sets come from the tables of families. */
const automata = new Map<string, Automaton>();

export class Markers {
  readonly #automaton: Automaton;
  /** The marker at the place that `find` returned; null: only text up to there is certain. */
  found: string | null = null;

  constructor(markers: readonly string[]) {
    const key = JSON.stringify(markers);
    const automaton = automata.get(key) ?? build([...new Set(markers)]);
    automata.set(key, automaton);
    this.#automaton = automaton;
  }

  /** Where certain text ends: at a marker (`found`), at what may become one, or at the end of the text. */
  find(text: string, from: number): number {
    const { pages, width, next, depth, marker, firstChar } = this.#automaton;
    this.found = null;
    let state = 0;
    for (let at = from; at < text.length; at++) {
      if (state === 0 && firstChar !== null) {
        at = text.indexOf(firstChar, at);
        if (at === -1) return text.length;
      }
      const code = text.charCodeAt(at);
      state = next[state * width + pages[code >>> 8]![code & 0xff]!]!;
      if (state !== 0 && marker[state] !== null) {
        this.found = marker[state]!;
        return at + 1 - this.found.length;
      }
    }
    return text.length - depth[state]!;
  }
}

/**
 * Whether held text at the end of an answer is the beginning of markup that the token limit cut off. An answer that
 * ended by itself meant it as text, and so is a single character.
 */
export function isCutMarkup(held: string, reason: AnswerEnd): boolean {
  return reason === 'length' && held.length > 1;
}

function build(markers: readonly string[]): Automaton {
  const codes = [...new Set(markers.flatMap((marker) => marker.split('')))].map((char) => char.charCodeAt(0));
  const columns = new Map(codes.map((code, index) => [code, index + 1]));
  const width = codes.length + 1;
  const pages = Array.from({ length: 256 }, () => NO_COLUMNS);
  for (const [code, column] of columns) {
    const page = code >>> 8;
    if (pages[page] === NO_COLUMNS) pages[page] = new Uint8Array(256);
    pages[page]![code & 0xff] = column;
  }
  // States are the beginnings of the markers; the empty one is the root.
  const beginnings = [
    ...new Set(['', ...markers.flatMap((marker) => Array.from(marker, (_, i) => marker.slice(0, i + 1)))]),
  ];
  const index = new Map(beginnings.map((beginning, state) => [beginning, state]));
  const next = new Uint16Array(beginnings.length * width);
  beginnings.forEach((beginning, state) => {
    for (const [code, column] of columns) {
      let rest = beginning + String.fromCharCode(code);
      while (!index.has(rest)) rest = rest.slice(1);
      next[state * width + column] = index.get(rest)!;
    }
  });
  const firsts = new Set(markers.map((marker) => marker[0]!));
  return {
    pages,
    width,
    next,
    depth: Uint16Array.from(beginnings, (beginning) => beginning.length),
    marker: beginnings.map((beginning) =>
      beginning !== '' && markers.includes(beginning) ? beginning : null,
    ),
    firstChar: firsts.size === 1 ? [...firsts][0]! : null,
  };
}
