/**
 * KV-aware: the worker where the prompt costs least, given what each has cached and in flight (semantics §1.3, §1.4). What
 * is cached is what workers tell by events, or what was routed to them (`approximate.ts`), or the longer of both.
 * Two walks in wasm for all workers, then a few operations per candidate; no allocation.
 */

import { HASH_BYTES, type PrefixMatch } from '../blocks.ts';
import type { CostInputs } from '../costs/cost-rule.ts';
import { cachedTokens } from '../costs/dynamo.ts';
import { COST_RULES } from '../costs/registry.ts';
import type { Policy } from '../policy.ts';
import { prefillTokensAt } from '../prefill-load.ts';
import type { CandidateCost, RouteRequest } from '../rpc.ts';
import { select } from '../selector.ts';
import { preferenceOf } from '../taints.ts';
import type { Model, Rank } from '../workers.ts';
import type { Mode } from './mode.ts';

/** Scratch of one decision; decisions are serial. */
let costs = new Float64Array(64);
let inputs = emptyInputs(64);

export const kv: Mode = {
  name: 'kv',
  choose(candidates, model, request, policy, nowMs) {
    gather(candidates, model, request, policy, nowMs);
    COST_RULES[policy.rule].price(inputs, policy, costs);
    const pick = select(costs, candidates.length, policy.temperature, policy.random);
    const device = inputs.device[pick]!;
    const blocks = { device, host: inputs.host[pick]!, disk: inputs.disk[pick]! };
    return {
      rank: candidates[pick]!,
      overlapBlocks: device,
      cachedTokens: cachedTokens(blocks, policy, model.blockSizeTokens),
    };
  },
  table() {
    return Array.from({ length: inputs.count }, (_, i) => row(i));
  },
};

function gather(
  candidates: readonly Rank[],
  model: Model,
  request: RouteRequest,
  policy: Policy,
  nowMs: number,
): void {
  if (costs.length < candidates.length) {
    costs = new Float64Array(2 * candidates.length);
    inputs = emptyInputs(costs.length);
  }
  inputs.count = candidates.length;
  inputs.ranks = candidates;
  inputs.nowMs = nowMs;
  inputs.promptTokens = request.promptTokens;
  inputs.outputTokens = request.expectedOutputTokens ?? model.answers.meanTokens;
  inputs.blockSizeTokens = model.blockSizeTokens;
  inputs.role = request.role;
  inputs.tracksPrefill = policy.trackPrefillTokens;
  const match = model.index.find(request.blockHashes);
  const blocks = request.blockHashes.length / HASH_BYTES;
  gatherOrdinary(candidates, model, policy, match.device, sharedBlocks(model, request, policy), blocks);
  gatherSpecial(candidates, model, request, match);
}

/** What every decision reads, in one walk. */
function gatherOrdinary(
  candidates: readonly Rank[],
  { inFlight }: Model,
  { trackActiveBlocks }: Policy,
  matched: Uint32Array,
  shared: Uint32Array,
  blocks: number,
): void {
  const { device, prefillTokens, decodeBlocks, ownBlocks, activeRequests, nowMs } = inputs;
  for (let i = 0; i < candidates.length; i++) {
    const rank = candidates[i]!;
    const { slot, fadedBlocks } = rank;
    device[i] = slot < matched.length ? matched[slot]! : 0;
    prefillTokens[i] = prefillTokensAt(rank, nowMs);
    activeRequests[i] = rank.activeRequests;
    if (!trackActiveBlocks) {
      decodeBlocks[i] = 0;
      ownBlocks[i] = 0;
      continue;
    }
    const active = inFlight.active(slot);
    const counted = fadedBlocks === 0 ? active : Math.round(active - fadedBlocks);
    const own = blocks - (slot < shared.length ? shared[slot]! : 0);
    ownBlocks[i] = own;
    decodeBlocks[i] = counted + own;
  }
}

const NONE = new Uint32Array(0);

/** Blocks of the prompt that are active by slot. */
const sharedBlocks = (model: Model, { blockHashes }: RouteRequest, policy: Policy): Uint32Array =>
  policy.trackActiveBlocks && policy.assumeKvReuse ? model.inFlight.shared(blockHashes) : NONE;

/** What few decisions have: tiers below the device, guesses, preferences. Elsewhere the columns keep their neutral values. */
function gatherSpecial(
  candidates: readonly Rank[],
  model: Model,
  request: RouteRequest,
  match: PrefixMatch,
): void {
  const { preferredTaints } = request;
  const special = match.host.length + match.disk.length + match.external.length > 0;
  if (special || preferredTaints !== undefined) {
    inputs.isNeutral = false;
    for (let i = 0; i < candidates.length; i++) {
      const { slot, worker } = candidates[i]!;
      inputs.host[i] = match.host[slot] ?? 0;
      inputs.disk[i] = match.disk[slot] ?? 0;
      inputs.sharedBeyond[i] = 0;
      inputs.preference[i] =
        preferredTaints === undefined ? 1 : preferenceOf(preferredTaints, worker.registration.taints);
    }
  } else if (!inputs.isNeutral) {
    inputs.isNeutral = true;
    for (const column of [inputs.host, inputs.disk, inputs.sharedBeyond]) column.fill(0);
    inputs.preference.fill(1);
  }
  if (match.external.length > 0) gatherShared(match);
  if (model.predicted) {
    const sent = model.predicted.find(request.blockHashes).device;
    for (let i = 0; i < candidates.length; i++) {
      inputs.device[i] = Math.max(inputs.device[i]!, sent[candidates[i]!.slot] ?? 0);
    }
  }
}

/**
 * The shared cache is everybody's: blocks that any worker has put there count for all, past what each has on its device.
 * Its blocks are taken as one range, from the first to the last that any worker knows of.
 */
function gatherShared({ device, host, disk, external }: PrefixMatch): void {
  let start = Number.POSITIVE_INFINITY;
  let end = 0;
  for (let slot = 0; slot < external.length; slot++) {
    if (external[slot] === 0) continue;
    const from = (device[slot] ?? 0) + (host[slot] ?? 0) + (disk[slot] ?? 0);
    start = Math.min(start, from);
    end = Math.max(end, from + external[slot]!);
  }
  for (let i = 0; i < inputs.count; i++) {
    inputs.sharedBeyond[i] = Math.max(end - Math.max(start, inputs.device[i]!), 0);
  }
}

const row = (i: number): CandidateCost => ({
  worker: inputs.ranks[i]!.worker.instanceId,
  dpRank: inputs.ranks[i]!.dpRank,
  cost: costs[i]!,
  deviceBlocks: inputs.device[i]!,
  hostBlocks: inputs.host[i]!,
  diskBlocks: inputs.disk[i]!,
  sharedBlocks: inputs.sharedBeyond[i]!,
  prefillTokens: inputs.prefillTokens[i]!,
  decodeBlocks: inputs.decodeBlocks[i]!,
  activeRequests: inputs.activeRequests[i]!,
  preference: inputs.preference[i]!,
});

function emptyInputs(length: number): CostInputs {
  const column = () => new Float64Array(length);
  return {
    count: 0,
    ranks: [],
    nowMs: 0,
    promptTokens: 0,
    outputTokens: 0,
    blockSizeTokens: 0,
    role: undefined,
    tracksPrefill: true,
    isNeutral: true,
    device: column(),
    host: column(),
    disk: column(),
    sharedBeyond: column(),
    prefillTokens: column(),
    decodeBlocks: column(),
    ownBlocks: column(),
    activeRequests: column(),
    preference: column().fill(1),
  };
}
