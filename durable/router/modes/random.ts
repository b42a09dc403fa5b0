/** Any worker, uniformly. */

import type { Mode } from './mode.ts';

export const random: Mode = {
  name: 'random',
  choose(candidates, _model, _request, policy) {
    const rank = candidates[Math.floor(policy.random() * candidates.length)]!;
    return { rank, overlapBlocks: 0 };
  },
};
