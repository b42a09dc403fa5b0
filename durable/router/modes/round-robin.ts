/** Each worker in turn, per model. */

import type { Mode } from './mode.ts';

export const roundRobin: Mode = {
  name: 'round-robin',
  choose(candidates, model) {
    const rank = candidates[model.turn++ % candidates.length]!;
    return { rank, overlapBlocks: 0 };
  },
};
