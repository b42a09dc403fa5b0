/**
 * Profile: the planner's questions to what an engine was measured to do (semantics §8.6).
 *
 * Prefill is a line over the prompt's length, clamped to what was measured. Decode is a grid over the share of KV memory in
 * use and the context length, looked up by the nearest point.
 */

import { type ProfileTables, profileTables } from '../runtime/profile/profile-tables.ts';

export type { ProfileData } from '../runtime/profile/profile-tables.ts';

export class Profile {
  readonly #tables: ProfileTables;

  /** Throws `invalid_request` that says what is wrong with the data. */
  constructor(data: unknown) {
    this.#tables = profileTables(data);
  }

  get gpusPerWorker(): number {
    return this.#tables.gpusPerWorker;
  }

  get maxKvTokens(): number {
    return this.#tables.decode.maxKvTokens;
  }

  /** Milliseconds that a prompt alone on a worker takes. */
  ttftMs(inputTokens: number): number {
    const { prefill } = this.#tables;
    return along(prefill.inputTokens, prefill.ttftMs, inputTokens);
  }

  prefillTokensPerSecondPerGpu(inputTokens: number): number {
    const { prefill } = this.#tables;
    return along(prefill.inputTokens, prefill.tokensPerSecondPerGpu, inputTokens);
  }

  /** Milliseconds between two tokens with so many requests of so much context on a worker. */
  itlMs(concurrency: number, contextTokens: number): number {
    const { decode } = this.#tables;
    const usage = (concurrency * contextTokens) / decode.maxKvTokens;
    return decode.itlMs[nearest(decode.kvUsage, usage)]![nearest(decode.contextTokens, contextTokens)]!;
  }

  /**
   * Most tokens a second per GPU with an ITL of at most `itlMs`: from the highest usage down, the first that keeps it;
   * the measured ITL need not rise with usage, so nothing is bisected. The lowest usage where none does.
   */
  bestDecodeTokensPerSecondPerGpu(itlMs: number, contextTokens: number): number {
    const { decode } = this.#tables;
    const column = nearest(decode.contextTokens, contextTokens);
    for (let row = decode.kvUsage.length - 1; row > 0; row--) {
      if (decode.itlMs[row]![column]! <= itlMs) return decode.tokensPerSecondPerGpu[row]![column]!;
    }
    return decode.tokensPerSecondPerGpu[0]![column]!;
  }
}

/** Linear between points, level outside them. */
function along(points: readonly number[], values: readonly number[], at: number): number {
  if (!(at > points[0]!)) return values[0]!;
  for (let i = 1; i < points.length; i++) {
    if (at > points[i]!) continue;
    const share = (at - points[i - 1]!) / (points[i]! - points[i - 1]!);
    return values[i - 1]! + share * (values[i]! - values[i - 1]!);
  }
  return values.at(-1)!;
}

function nearest(points: readonly number[], at: number): number {
  let best = 0;
  for (let i = 1; i < points.length; i++) {
    if (Math.abs(points[i]! - at) < Math.abs(points[best]! - at)) best = i;
  }
  return best;
}
