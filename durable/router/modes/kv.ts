/**
 * KV-aware: the worker where the prompt costs least, given what each has cached and in flight (semantics §1.3, §1.4).
 * Two walks in wasm for all workers, then a few operations per candidate; no allocation.
 */

import { cost, type WorkerLoad } from '../cost.ts';
import { select } from '../selector.ts';
import type { Mode } from './mode.ts';

const HASH_BYTES = 8;

/** Scratch of one decision; decisions are serial. */
let costs = new Float64Array(64);
const load: WorkerLoad = { overlapBlocks: 0, prefillTokens: 0, decodeBlocks: 0, activeRequests: 0 };
const size = { promptTokens: 0, blockSizeTokens: 0 };

export const kv: Mode = {
  name: 'kv',
  choose(candidates, model, request, policy) {
    const blocks = request.blockHashes.length / HASH_BYTES;
    const shared = model.inFlight.shared(request.blockHashes);
    const overlaps = model.index.find(request.blockHashes).device;
    if (costs.length < candidates.length) costs = new Float64Array(2 * candidates.length);
    size.promptTokens = request.promptTokens;
    size.blockSizeTokens = model.blockSizeTokens;
    for (let i = 0; i < candidates.length; i++) {
      const rank = candidates[i]!;
      load.overlapBlocks = overlaps[rank.slot] ?? 0;
      load.prefillTokens = rank.prefillTokens;
      load.decodeBlocks = model.inFlight.active(rank.slot) + blocks - (shared[rank.slot] ?? 0);
      load.activeRequests = rank.activeRequests;
      costs[i] = cost(load, size, policy);
    }
    const rank = candidates[select(costs, candidates.length, policy.temperature, policy.random)]!;
    return { rank, overlapBlocks: overlaps[rank.slot] ?? 0 };
  },
};
