/** How long the prompts of a mix take on a worker of their own: a few weighted points, from a histogram and a profile. */

import { countOf, type Histogram, meanOf } from '../histogram.ts';
import type { Profile } from '../profile.ts';

export interface ServiceTimes {
  /** Weights sum to 1. */
  points: readonly { ms: number; weight: number }[];
  meanMs: number;
  meanSquareMs2: number;
}

/** `meanTokens`: the mix is stretched to this mean. Null for an empty histogram. */
export function serviceTimes(
  computedTokens: Histogram,
  profile: Profile,
  meanTokens = meanOf(computedTokens),
): ServiceTimes | null {
  const count = countOf(computedTokens);
  if (count <= 0) return null;
  const { bounds, counts } = computedTokens;
  const middle = (at: number) =>
    at === bounds.length ? 1.25 * (bounds.at(-1) ?? 0) : ((bounds[at - 1] ?? 0) + bounds[at]!) / 2;
  const counted = counts.reduce((sum, each, at) => sum + each * middle(at), 0) / count;
  const stretch = counted > 0 && meanTokens > 0 ? meanTokens / counted : 1;
  const points = counts.flatMap((each, at) =>
    each === 0 ? [] : [{ ms: profile.ttftMs(stretch * middle(at)), weight: each / count }],
  );
  const mean = (value: (ms: number) => number) =>
    points.reduce((sum, { ms, weight }) => sum + weight * value(ms), 0);
  return { points, meanMs: mean((ms) => ms), meanSquareMs2: mean((ms) => ms ** 2) };
}
