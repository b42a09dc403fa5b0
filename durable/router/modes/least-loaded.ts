/** The worker with the fewest requests in flight; among equals any, uniformly (reservoir). */

import { blind, type Mode } from './mode.ts';

export const leastLoaded: Mode = {
  name: 'least-loaded',
  choose(candidates, _model, _request, { random }) {
    let rank = candidates[0]!;
    let ties = 1;
    for (let i = 1; i < candidates.length; i++) {
      const other = candidates[i]!;
      if (other.activeRequests > rank.activeRequests) continue;
      if (other.activeRequests < rank.activeRequests) {
        rank = other;
        ties = 1;
      } else if (random() * ++ties < 1) rank = other;
    }
    return blind(rank);
  },
};
