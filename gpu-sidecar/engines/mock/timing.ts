/**
 * How long a pass takes: Dynamo's mocker polynomial (semantics §10.3), what a profile says, or a fixed decode step for
 * benches. Pure; milliseconds.
 */

import type { TimingTable } from './timing-table.ts';

export interface TimingOptions {
  /** Divides prefill and decode time; 0 = no delay. */
  speedup: number;
  /** Divides decode time further. */
  decodeSpeedup: number;
  /** Fixed time of a pass with decoding requests, whatever the speedup; 0 = the polynomial. */
  decodeMs: number;
  /** In place of the polynomial. */
  table?: TimingTable;
}

export interface PassWork {
  /** Requests with prompt tokens in this pass, and over all of them: tokens there before it, and after it. */
  prefills: number;
  prefixTokens: number;
  prefilledTokens: number;
  decodingRequests: number;
  /** Sum of the context lengths of the decoding requests. */
  decodeContextTokens: number;
  totalKvTokens: number;
}

export const noWork = (totalKvTokens: number): PassWork => ({
  prefills: 0,
  prefixTokens: 0,
  prefilledTokens: 0,
  decodingRequests: 0,
  decodeContextTokens: 0,
  totalKvTokens,
});

export function passMs(work: PassWork, timing: TimingOptions): number {
  const { speedup, table } = timing;
  const tokens = newTokens(work);
  const prefill = speedup === 0 ? 0 : (table?.prefillMs(tokens) ?? prefillMs(tokens)) / speedup;
  if (work.decodingRequests === 0) return prefill;
  if (timing.decodeMs > 0) return prefill + timing.decodeMs;
  if (speedup === 0) return prefill;
  return prefill + (table?.decodeMs(work) ?? decodeMs(work)) / (speedup * timing.decodeSpeedup);
}

/** batch · (mean isl − mean prefix); the means are whole tokens. */
function newTokens({ prefills, prefixTokens, prefilledTokens }: PassWork): number {
  if (prefills === 0) return 0;
  return prefills * (Math.floor(prefilledTokens / prefills) - Math.floor(prefixTokens / prefills));
}

export function prefillMs(tokens: number): number {
  if (tokens <= 0) return 0;
  return 4.209989e-7 * tokens ** 2 + 1.518344e-2 * tokens + 16.50142;
}

export function decodeMs(work: { decodeContextTokens: number; totalKvTokens: number }): number {
  const p = Math.min(work.decodeContextTokens / work.totalKvTokens, 1);
  return Math.max(1, -25.74 * p ** 2 + 54.01 * p + 5.74);
}
