/**
 * Fresh prompts of a wanted length: words that are one token each in the tokenizer at hand, chosen at random, so that no
 * side profits from having seen a prompt before. Deterministic by seed; every run of a benchmark takes a new seed.
 */

import { readFileSync } from 'node:fs';

const SPACE_MARK = 'Ġ';
const WORDS = 2_000;

/** Words whose form with a leading space is one vocabulary entry of a byte-level BPE tokenizer.json. */
export function singleTokenWords(tokenizerFile: string): string[] {
  const file = JSON.parse(readFileSync(tokenizerFile, 'utf8')) as {
    model: { vocab: Record<string, number> };
  };
  const words = Object.keys(file.model.vocab)
    .filter((token) => /^Ġ[a-z]{3,9}$/.test(token))
    .map((token) => token.slice(SPACE_MARK.length));
  if (words.length < 50) throw new Error(`${tokenizerFile} has only ${words.length} usable words`);
  return words.slice(0, WORDS);
}

/** mulberry32 (public domain): small, fast and good enough to shuffle words. */
export function randomSource(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** `count` random words, each with a leading space but the first. */
export function randomText(words: readonly string[], count: number, random: () => number): string {
  const chosen = new Array<string>(count);
  for (let i = 0; i < count; i++) chosen[i] = words[Math.floor(random() * words.length)] as string;
  return chosen.join(' ');
}
