/** Any worker, uniformly. */

import { blind, type Mode } from './mode.ts';

export const random: Mode = {
  name: 'random',
  choose(candidates, _model, _request, policy) {
    return blind(candidates[Math.floor(policy.random() * candidates.length)]!);
  },
};
