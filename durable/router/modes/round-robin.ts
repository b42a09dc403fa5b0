/** Each worker in turn, per model. */

import { blind, type Mode } from './mode.ts';

export const roundRobin: Mode = {
  name: 'round-robin',
  choose(candidates, model, { role }) {
    const turns = role === 'prefill' ? model.prefill : model;
    return blind(candidates[turns.turn++ % candidates.length]!);
  },
};
