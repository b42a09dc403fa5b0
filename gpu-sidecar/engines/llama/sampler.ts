/**
 * The next token from a row of logits. Counter-based: the uniform number of token i is hash(seed, choice, i), and
 * everything else (penalties, bias) is a function of the tokens so far, so any worker continues any response.
 *
 * Order: bias, what is forbidden or not allowed by a grammar, penalties, temperature, min_p, top_k, top_p, draw. Pure. Cost: one pass over the logits when
 * greedy; three and a sort of the survivors when sampled.
 */

import type { SamplingOptions } from '../engine.ts';
import { uniform } from './uniform.ts';

/** What has been said so far, as counts. */
export interface TokenCounts {
  /** In the response. */
  output: ReadonlyMap<number, number>;
  /** In the prompt or the response. */
  seen: ReadonlySet<number>;
}

export interface SampleInput {
  /** Changed in place. */
  logits: Float32Array;
  sampling: SamplingOptions;
  /** Null when no penalty needs them. */
  counts: TokenCounts | null;
  /** Ids that may not come now. */
  forbidden: readonly number[];
  /** Bit i: token i may come; null: all may. */
  allowed: Uint32Array | null;
  /** Number of the token in the response. */
  index: number;
}

export const usesCounts = (sampling: SamplingOptions): boolean =>
  sampling.repetitionPenalty !== 1 || sampling.presencePenalty !== 0 || sampling.frequencyPenalty !== 0;

/** -1: no token may come. */
export function sampleToken(input: SampleInput): number {
  const { logits, sampling, counts } = input;
  for (const [id, bias] of sampling.logitBias) if (id < logits.length) logits[id]! += bias;
  for (const id of input.forbidden) logits[id] = Number.NEGATIVE_INFINITY;
  if (input.allowed !== null) keepAllowed(logits, input.allowed);
  if (counts !== null) penalise(logits, sampling, counts);
  const best = argmax(logits);
  if (logits[best] === Number.NEGATIVE_INFINITY) return -1;
  if (sampling.temperature <= 0) return best;
  const candidates = survivors(logits, best, sampling);
  return draw(candidates, uniform(sampling.seed, { choice: sampling.choice, index: input.index }));
}

/** Runs of words that allow nothing are filled at once: most masks allow few tokens, or nearly all. */
function keepAllowed(logits: Float32Array, allowed: Uint32Array): void {
  let word = 0;
  while (word * 32 < logits.length) {
    const from = word * 32;
    const bits = allowed[word++]!;
    if (bits === 0xffff_ffff) continue;
    if (bits === 0) {
      while (allowed[word] === 0) word++;
      logits.fill(Number.NEGATIVE_INFINITY, from, word * 32);
      continue;
    }
    let banned = logits.length - from < 32 ? ~bits & ((1 << (logits.length - from)) - 1) : ~bits;
    while (banned !== 0) {
      const lowest = banned & -banned;
      logits[from + 31 - Math.clz32(lowest)] = Number.NEGATIVE_INFINITY;
      banned ^= lowest;
    }
  }
}

function penalise(logits: Float32Array, sampling: SamplingOptions, counts: TokenCounts): void {
  const { repetitionPenalty, presencePenalty, frequencyPenalty } = sampling;
  if (repetitionPenalty !== 1) {
    for (const id of counts.seen) {
      const logit = logits[id]!;
      logits[id] = logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty;
    }
  }
  for (const [id, count] of counts.output) logits[id]! -= presencePenalty + frequencyPenalty * count;
}

/** The lowest id with the largest logit. */
export function argmax(logits: Float32Array): number {
  let best = 0;
  let most = logits[0]!;
  for (let id = 1; id < logits.length; id++) {
    const logit = logits[id]!;
    if (logit > most) {
      most = logit;
      best = id;
    }
  }
  return best;
}

/** Tokens that may be drawn, with weights relative to the best token's. */
interface Candidates {
  ids: number[];
  weights: number[];
}

function survivors(logits: Float32Array, best: number, sampling: SamplingOptions): Candidates {
  const { temperature, topK, topP, minP } = sampling;
  const top = logits[best]!;
  const lowest = minP > 0 ? top + Math.log(minP) * temperature : Number.NEGATIVE_INFINITY;
  const floor = topK > 0 && topK < logits.length ? Math.max(lowest, nthLargest(logits, topK)) : lowest;
  let ids: number[] = [];
  let total = 0;
  const weights: number[] = [];
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id]!;
    if (logit < floor || logit === Number.NEGATIVE_INFINITY) continue;
    const weight = Math.exp((logit - top) / temperature);
    ids.push(id);
    weights.push(weight);
    total += weight;
  }
  if (topK === 0 && topP >= 1) return { ids, weights };
  const order = likely(weights, topP * total).sort((a, b) => weights[b]! - weights[a]! || ids[a]! - ids[b]!);
  let count = 0;
  let mass = 0;
  const most = topK > 0 ? Math.min(topK, order.length) : order.length;
  while (count < most) {
    mass += weights[order[count++]!]!;
    if (topP < 1 && mass >= topP * total) break;
  }
  const kept = order.slice(0, count);
  ids = kept.map((at) => ids[at]!);
  return { ids, weights: kept.map((at) => weights[at]!) };
}

/** Indexes of the heaviest weights, enough for `mass`: spares sorting the long tail of a large vocabulary. */
function likely(weights: number[], mass: number): number[] {
  for (let least = 1e-3; ; least *= 1e-3) {
    const indexes: number[] = [];
    let sum = 0;
    for (let at = 0; at < weights.length; at++) {
      if (weights[at]! < least) continue;
      indexes.push(at);
      sum += weights[at]!;
    }
    if (sum >= mass || indexes.length === weights.length || least === 0) return indexes;
  }
}

/** The n-th largest value, by a heap of n. */
function nthLargest(values: Float32Array, n: number): number {
  const heap = new Float32Array(n).fill(Number.NEGATIVE_INFINITY);
  let least = Number.NEGATIVE_INFINITY;
  // By index: an iterator over 150,000 values costs a millisecond.
  for (let index = 0; index < values.length; index++) {
    const value = values[index]!;
    if (value <= least) continue;
    let at = 0;
    for (let child = 1; child < n; child = 2 * at + 1) {
      if (child + 1 < n && heap[child + 1]! < heap[child]!) child++;
      if (heap[child]! >= value) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = value;
    least = heap[0]!;
  }
  return least;
}

function draw({ ids, weights }: Candidates, u: number): number {
  let total = 0;
  for (const weight of weights) total += weight;
  let rest = u * total;
  for (let at = 0; at < ids.length; at++) {
    rest -= weights[at]!;
    if (rest < 0) return ids[at]!;
  }
  return ids.at(-1)!;
}
