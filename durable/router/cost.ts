/**
 * The price of sending a request to a worker (semantics §1.3): prefill blocks still to compute there, plus decode blocks it
 * would hold, minus credit for what it has cached. Lower is better; the unit is KV blocks. A handful of operations.
 */

export interface CostWeights {
  /** Credit per cached prompt block (C). */
  overlapScoreCredit: number;
  /** Weight of prefill blocks (S). */
  prefillLoadScale: number;
  /** Weight of active requests (A). */
  decodeActiveRequestWeight: number;
}

export const DEFAULT_WEIGHTS: CostWeights = {
  overlapScoreCredit: 1,
  prefillLoadScale: 1,
  decodeActiveRequestWeight: 0,
};

/** The request's side. */
export interface RequestSize {
  promptTokens: number;
  blockSizeTokens: number;
}

/** One worker's side, before this request. */
export interface WorkerLoad {
  /** Leading prompt blocks that it has on its device: dev(w). */
  overlapBlocks: number;
  /** Prompt tokens of its requests without a first token, cached ones excluded: P(w). */
  prefillTokens: number;
  /** Unique active blocks if this request went there: D(w). */
  decodeBlocks: number;
  /** R(w). */
  activeRequests: number;
}

/**
 * `S · max((P + prompt) / block − C · overlap, 0) + D + A · R`. The clamp is on the sum: what a busy worker has
 * cached also offsets its queue.
 */
export function cost(load: WorkerLoad, request: RequestSize, weights: CostWeights): number {
  const rawBlocks = (load.prefillTokens + request.promptTokens) / request.blockSizeTokens;
  const prefill = Math.max(rawBlocks - weights.overlapScoreCredit * load.overlapBlocks, 0);
  return (
    weights.prefillLoadScale * prefill +
    load.decodeBlocks +
    weights.decodeActiveRequestWeight * load.activeRequests
  );
}
