/**
 * Many texts as calls of workers: each call is bounded in texts and tokens and routed by itself, so a large request spreads
 * over the fleet, a lost worker costs one call, and a client that leaves costs at most the calls under way.
 */
import { LIMITS } from '../../durable/runtime/limits.ts';

/** Consecutive texts: from `start` up to, not including, `end`. */
export interface Portion {
  start: number;
  end: number;
  tokens: number;
}

/** `lengths`: tokens of each text. A text longer than a call's tokens is a call of its own. */
export function portionsOf(lengths: readonly number[]): Portion[] {
  const portions: Portion[] = [];
  let portion: Portion | null = null;
  lengths.forEach((tokens, index) => {
    const fits =
      portion !== null &&
      index - portion.start < LIMITS.embeddingCallInputs &&
      portion.tokens + tokens <= LIMITS.embeddingCallTokens;
    if (portion === null || !fits) {
      portion = { start: index, end: index, tokens: 0 };
      portions.push(portion);
    }
    portion.end = index + 1;
    portion.tokens += tokens;
  });
  return portions;
}

/** Runs `work` on each item, at most `most` at a time; the promises are in order. A failure starts no more. */
export function inTurns<Item, Result>(
  items: readonly Item[],
  most: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result>[] {
  const settled = items.map(() => Promise.withResolvers<Result>());
  for (const { promise } of settled) promise.catch(() => {});
  let next = 0;
  let failed = false;
  const run = async (): Promise<void> => {
    for (let at = next++; at < items.length; at = next++) {
      try {
        if (failed) throw new Error('another one failed');
        settled[at]!.resolve(await work(items[at]!));
      } catch (error) {
        failed = true;
        settled[at]!.reject(error);
      }
    }
  };
  for (let i = 0; i < Math.min(most, items.length); i++) void run();
  return settled.map(({ promise }) => promise);
}
