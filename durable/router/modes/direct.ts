/**
 * The caller chooses: `pinned` has left only that worker's ranks among the candidates (the scheduler refuses a request of
 * this mode without it). The least busy of its ranks serves.
 */

import { blind, type Mode } from './mode.ts';

export const direct: Mode = {
  name: 'direct',
  choose(candidates) {
    let rank = candidates[0]!;
    for (const other of candidates) if (other.activeRequests < rank.activeRequests) rank = other;
    return blind(rank);
  },
};
