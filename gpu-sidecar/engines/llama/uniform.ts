/** The random numbers of counter-based sampling: a pure function of (seed, choice, index). */

/** Uniform in [0, 1), 53 bits. */
export function uniform(seed: bigint, place: { choice: number; index: number }): number {
  const low = Number(seed & 0xffffffffn);
  const high = Number((seed >> 32n) & 0xffffffffn);
  const first = hash([low, high, place.choice, place.index], 0x2545f491);
  const second = hash([low, high, place.choice, place.index], 0x8f1bbcdc);
  return ((first >>> 5) * 2 ** 26 + (second >>> 6)) / 2 ** 53;
}

/** MurmurHash3 (x86, 32 bit) of a few words. */
function hash(words: readonly number[], seed: number): number {
  let h = seed;
  for (const word of words) {
    let k = Math.imul(word, 0xcc9e2d51);
    k = (k << 15) | (k >>> 17);
    h ^= Math.imul(k, 0x1b873593);
    h = (h << 13) | (h >>> 19);
    h = (Math.imul(h, 5) + 0xe6546b64) | 0;
  }
  h ^= 4 * words.length;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
