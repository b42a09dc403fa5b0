/** Answers under a grammar without a model: any allowed token, drawn by a seed, that closes what it can every so often. */

import {
  allowedAt,
  type ConstrainedAnswer,
  countAllowed,
} from '../../gpu-sidecar/engines/constraint/constraint.ts';
import type { Vocabulary } from '../../gpu-sidecar/engines/engine.ts';
import { obedientId, obedientTokens } from '../../gpu-sidecar/engines/mock/obedience.ts';

export interface Walk {
  tokens: number[];
  text: string;
  /** The grammar let it end here. */
  whole: boolean;
}

export function walk(
  answer: ConstrainedAnswer,
  vocabulary: Vocabulary,
  { seed, maxTokens }: { seed: number; maxTokens: number },
): Walk {
  const obedient = obedientTokens(vocabulary);
  const tokens: number[] = [];
  let state = seed >>> 0;
  let whole = answer.complete;
  while (!whole && tokens.length < maxTokens) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const word = Math.imul(state ^ (state >>> 15), 0x85eb_ca6b) >>> 0;
    const allowed = answer.allowed();
    const own = allowedAt(allowed, word % countAllowed(allowed));
    const id = obedientId(allowed, obedient, { own, word });
    if (id === null) whole = true;
    else {
      answer.push(id);
      tokens.push(id);
      whole = answer.complete;
    }
  }
  const text = Buffer.concat(tokens.map((id) => vocabulary.tokenBytes(id))).toString('utf8');
  return { tokens, text, whole };
}
