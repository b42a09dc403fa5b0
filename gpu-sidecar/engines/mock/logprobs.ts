/** Log probabilities of the mock engine: as meaningless as its tokens, and as repeatable. */

import type { TokenLogprobs } from '../engine.ts';
import type { Sequence } from '../sequence.ts';

/** Half of what is left goes to each place: ln(1/2), ln(1/4), … */
const atPlace = (place: number): number => -Math.LN2 * (place + 1);

/** The chosen token has one of the first four places; its neighbours among the answer's tokens have the others. */
export function mockLogprobs(
  { request }: Sequence,
  token: { word: number; id: number },
  answerTokens: Uint32Array,
): TokenLogprobs | undefined {
  const { topLogprobs } = request.sampling;
  if (topLogprobs === null) return undefined;
  const own = (token.word >>> 4) % Math.min(4, answerTokens.length);
  const top: [number, number][] = [];
  const places = Math.min(topLogprobs, answerTokens.length);
  for (let place = 0; place < places; place++) {
    const id = answerTokens[(token.word + place - own + answerTokens.length) % answerTokens.length]!;
    top.push([id, atPlace(place)]);
  }
  return { logprob: atPlace(own), top };
}
