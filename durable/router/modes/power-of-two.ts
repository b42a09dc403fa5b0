/**
 * Two workers by chance, and of them the one with fewer requests: nearly as even as looking at all of them, at the cost of
 * looking at two (Mitzenmacher, "The power of two choices in randomized load balancing", 2001). Equal ones: the first.
 */

import { blind, type Mode } from './mode.ts';

export const powerOfTwo: Mode = {
  name: 'power-of-two',
  choose(candidates, _model, _request, { random }) {
    const { length } = candidates;
    const at = Math.floor(random() * length);
    if (length === 1) return blind(candidates[0]!);
    // The second is drawn from the others, so that two are always compared.
    const other = (at + 1 + Math.floor(random() * (length - 1))) % length;
    const [first, second] = [candidates[at]!, candidates[other]!];
    return blind(second.activeRequests < first.activeRequests ? second : first);
  },
};
