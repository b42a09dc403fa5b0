/** Each worker in turn, per model. */

import { blind, type Mode } from './mode.ts';

export const roundRobin: Mode = {
  name: 'round-robin',
  choose(candidates, model) {
    return blind(candidates[model.turn++ % candidates.length]!);
  },
};
