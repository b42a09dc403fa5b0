/**
 * Pass times from a profile instead of the polynomial (semantics §10.3, "interpolated"): linear along the prompt's length,
 * bilinear over tokens in the cache and mean context of those that decode, and on in the same line beyond what was measured,
 * because a simulated prompt may be longer than any measured one. Never below `LEAST_MS`.
 */

import { type ProfileTables, profileTables } from '../../../durable/runtime/profile/profile-tables.ts';

const LEAST_MS = 1e-3;

export interface DecodingWork {
  decodingRequests: number;
  /** Sum of the context lengths. */
  decodeContextTokens: number;
}

export class TimingTable {
  readonly #tables: ProfileTables;

  /** Throws `invalid_request` that says what is wrong with the profile. */
  constructor(profile: unknown) {
    this.#tables = profileTables(profile);
  }

  /** Milliseconds of so many prompt tokens in one pass. */
  prefillMs(tokens: number): number {
    if (tokens <= 0) return 0;
    const { inputTokens, ttftMs } = this.#tables.prefill;
    const { low, high, share } = between(inputTokens, tokens);
    return Math.max(LEAST_MS, ttftMs[low]! + share * (ttftMs[high]! - ttftMs[low]!));
  }

  /** Milliseconds of one decode step. */
  decodeMs({ decodingRequests, decodeContextTokens }: DecodingWork): number {
    const { maxKvTokens, kvUsage, contextTokens, itlMs } = this.#tables.decode;
    const usage = between(kvUsage, decodeContextTokens / maxKvTokens);
    const context = between(contextTokens, decodeContextTokens / Math.max(1, decodingRequests));
    const inRow = (row: readonly number[]) =>
      row[context.low]! + context.share * (row[context.high]! - row[context.low]!);
    const [low, high] = [inRow(itlMs[usage.low]!), inRow(itlMs[usage.high]!)];
    return Math.max(LEAST_MS, low + usage.share * (high - low));
  }
}

/** The two points around a place, or the two nearest, and how far between them it lies: outside 0 to 1 beyond both. */
function between(points: readonly number[], at: number): { low: number; high: number; share: number } {
  if (points.length === 1) return { low: 0, high: 0, share: 0 };
  let [low, high] = [0, points.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (points[middle]! <= at) low = middle;
    else high = middle;
  }
  return { low, high, share: (at - points[low]!) / (points[high]! - points[low]!) };
}
