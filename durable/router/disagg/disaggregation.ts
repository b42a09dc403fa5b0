/**
 * Who computes a prompt and who generates (semantics §6), in the one turn of a decision: the decode worker by load, the
 * prefill worker by what it has cached and in flight, or one worker for both, as the model's conditions say.
 *
 * The worker that would do both is chosen as in a fleet without roles, so that conditions look at the best there is. A prompt
 * stays with it also where no prefill worker may take it (none connected, all overloaded or excluded): disaggregation never
 * refuses what one worker could serve. Settings are the configured ones until somebody changes those of a model.
 *
 * Where prefill workers take prompts from a queue, nobody knows here who will: whether any may is asked, none is named, and
 * their load is what the queue has in hand.
 */

import { HASH_BYTES } from '../blocks.ts';
import type { Choice } from '../modes/mode.ts';
import type { Policy, PrefillBacklog } from '../policy.ts';
import { prefillTokensAt } from '../prefill-load.ts';
import type { DisaggSettings, LocalReason, RouteRefusal, RouteRequest } from '../rpc.ts';
import type { Model, Rank } from '../workers.ts';
import { type Circumstances, staysByLength, staysByLoad } from './conditions.ts';

/** One choice by the ordinary rules. */
type ChooseOne = (request: RouteRequest) => Choice | RouteRefusal;

export class Disaggregation {
  readonly #configured: DisaggSettings;
  readonly #queue: Policy['prefillQueue'];
  /** By model name; the models of a namespace are bounded. */
  readonly #changed = new Map<string, DisaggSettings>();

  constructor({ disagg, prefillQueue }: Pick<Policy, 'disagg' | 'prefillQueue'>) {
    this.#configured = disagg;
    this.#queue = prefillQueue;
  }

  settings(model: string): DisaggSettings {
    return this.#changed.get(model) ?? this.#configured;
  }

  change(model: string, change: Partial<DisaggSettings>): DisaggSettings {
    const settings = { ...this.settings(model), ...change };
    if (Object.keys(change).length > 0) this.#changed.set(model, settings);
    return settings;
  }

  choose(model: Model, request: RouteRequest, nowMs: number, one: ChooseOne): Choice | RouteRefusal {
    const wished = request.prefillPinned !== undefined && request.prefillPinned !== request.pinned;
    if (!mayBeHandedOver(model, request)) return wished ? notHandedOver(model, request, one) : one(request);
    if (wished && this.#queue) return notNamed(request);
    const backlog = this.#queue?.(model.name) ?? null;
    const settings = this.settings(model.name);
    if (settings.policy === 'never' && !wished) return stays(one(request), 'never');
    const conditional = settings.policy !== 'always' && !wished;
    // Who is not free to choose is chosen once: a session's worker is its own, and modes without a cost know no roles.
    const bound = request.session !== undefined;
    const local = conditional || bound ? one(request) : null;
    if (local !== null && 'kind' in local) return local;
    const facts = conditional ? circumstances(model, request, local!, backlog) : null;
    const short = facts && staysByLength(settings, facts);
    if (short) return stays(local!, short);
    const prefill = choosePrefill(request, one);
    if ('kind' in prefill) return wished ? prefill : stays(local ?? one(request), 'no_prefill_worker');
    const load = backlog ? shareOf(model, backlog) : loadOf(prefill.rank, nowMs);
    const busy = facts && staysByLoad(settings, facts, load);
    if (busy) return stays(again(local!, request, one), busy);
    const decode = bound ? again(local!, request, one) : one({ ...request, role: 'decode' });
    if ('kind' in decode) return decode;
    if (decode.rank.worker.registration.workerType !== 'decode') return stays(one(request), 'aggregated');
    return { ...decode, prefill };
  }
}

/** Blocks that another worker may compute: complete ones, and never the prompt's last token, whose logits are wanted here. */
const blocksToHandOver = (model: Model, { blockHashes, promptTokens }: RouteRequest): number =>
  Math.min(blockHashes.length / HASH_BYTES, Math.floor((promptTokens - 1) / model.blockSizeTokens));

const mayBeHandedOver = (model: Model, request: RouteRequest): boolean =>
  request.role === undefined && model.prefill.connected.length > 0 && blocksToHandOver(model, request) >= 1;

const stays = (choice: Choice | RouteRefusal, reason: LocalReason): Choice | RouteRefusal =>
  'kind' in choice ? choice : { ...choice, stays: reason };

/** The table that explains a decision is that of the last choice made. */
const again = (choice: Choice, request: RouteRequest, one: ChooseOne): Choice | RouteRefusal =>
  request.explain ? one(request) : choice;

/** A named prefill worker for a prompt without a block to hand over, or for a model that has none. */
function notHandedOver(model: Model, request: RouteRequest, one: ChooseOne): Choice | RouteRefusal {
  if (request.role !== undefined || blocksToHandOver(model, request) < 1) return one(request);
  return choosePrefill(request, one);
}

/** One that is connected: who is lost is no better than computing it here. */
function choosePrefill(request: RouteRequest, one: ChooseOne): Choice | RouteRefusal {
  const asked: RouteRequest = { ...request, role: 'prefill' };
  // What is said of the worker that answers.
  for (const field of ['pinned', 'dpRank', 'session'] as const) delete asked[field];
  if (request.prefillPinned !== undefined) asked.pinned = request.prefillPinned;
  if (request.prefillDpRank !== undefined) asked.dpRank = request.prefillDpRank;
  const choice = one(asked);
  if ('kind' in choice) return { ...choice, param: 'prefillPinned' };
  const { worker } = choice.rank;
  if (worker.phase === 'serving' && worker.registration.grpcAddress !== '') return choice;
  const message = `prefill worker ${worker.instanceId} cannot be reached at the moment`;
  return { kind: 'refusal', code: 'worker_unavailable', message, retryAfterS: null, param: 'prefillPinned' };
}

/** What goes through a queue goes to whoever takes it. */
function notNamed({ prefillPinned }: RouteRequest): RouteRefusal {
  const message = `prefill worker ${prefillPinned} cannot be named: prefill workers take prompts from a queue here (prefill_handoff)`;
  return { kind: 'refusal', code: 'invalid_request', message, retryAfterS: null, param: 'prefillPinned' };
}

/** `local`: the worker that would do both. */
function circumstances(
  model: Model,
  { blockHashes, promptTokens }: RouteRequest,
  { rank: { slot, worker }, cachedTokens }: Choice,
  backlog: PrefillBacklog | null,
): Circumstances {
  const { inFlight, blockSizeTokens, prefill } = model;
  const { totalKvBlocks } = worker.registration;
  const shared = inFlight.shared(blockHashes)[slot] ?? 0;
  const blocks = inFlight.active(slot) + Math.ceil(promptTokens / blockSizeTokens) - shared;
  return {
    promptTokens,
    cachedTokens,
    decodeLoad: totalKvBlocks > 0 ? blocks / totalKvBlocks : 0,
    prefillQueueSize:
      backlog?.waiting ?? prefill.connected.reduce((sum, rank) => sum + rank.activeRequests, 0),
  };
}

/** Of all prefill workers together. */
function shareOf({ prefill }: Model, { tokens }: PrefillBacklog): number {
  const batches = prefill.connected.reduce(
    (sum, { worker }) => sum + worker.registration.maxNumBatchedTokens,
    0,
  );
  return tokens / batches;
}

const loadOf = (rank: Rank, nowMs: number): number =>
  prefillTokensAt(rank, nowMs) / rank.worker.registration.maxNumBatchedTokens;
