/**
 * What the mock engine says: token i is a pure function of the prompt, the seed (when sampled) and i, so that any
 * worker continues any response token for token, and output can be compared bit for bit.
 */

/** Key of a response: everything but the token's number. */
export function answerKey(prompt: Uint32Array, promptTokens: number, seed: bigint | null): number {
  let key = 0x9e3779b9 ^ promptTokens;
  for (let i = 0; i < promptTokens; i++) {
    key = Math.imul(key ^ prompt[i]!, 0x85ebca6b);
    key ^= key >>> 15;
  }
  if (seed !== null) {
    key = mix(key ^ Number(seed & 0xffffffffn));
    key = mix(key ^ Number((seed >> 32n) & 0xffffffffn));
  }
  return mix(key);
}

/** Uniform u32 for token `index` of the response. */
export function answerWord(key: number, index: number): number {
  return mix(key ^ Math.imul(index + 1, 0xc2b2ae35)) >>> 0;
}

/** The finaliser of MurmurHash3. */
function mix(word: number): number {
  let h = word | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
