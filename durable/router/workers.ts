/**
 * Who serves: workers with their epoch and lease, their ranks with a slot each, and models with their indexes.
 *
 * Invariants: an instance is here at most once, with the highest epoch it ever showed; a slot belongs to one rank of one
 * model and its index entries are gone before it is given to another; cards of one model agree by checksum while any
 * worker serves it; no name or alias belongs to two models. A model exists as long as a worker of it does.
 * The lists that the scheduler reads are rebuilt on change, never on the route path.
 */

import { StatorError } from '../runtime/errors.ts';
import { LIMITS } from '../runtime/limits.ts';
import { AnswerLength } from './answer-length.ts';
import { ApproximateCache } from './approximate.ts';
import type { TierLoad } from './batch-reader.ts';
import type { BlocksInFlight, Indexes, PrefixIndex } from './blocks.ts';
import { EngineTiming } from './engine-timing.ts';
import type { KvStream } from './kv-events.ts';
import type { Policy } from './policy.ts';
import { PrefillLoad } from './prefill-load.ts';
import { PrefillSpeed } from './prefill-speed.ts';
import type { CardEntry, Registration } from './registration.ts';

/** One (instance, dp rank): what the scheduler chooses. */
export interface Rank {
  readonly worker: Worker;
  readonly dpRank: number;
  readonly slot: number;
  /** Its KV events; null when the worker publishes none. */
  stream: KvStream | null;
  /** P(w): prompt tokens of requests without a first token, cached ones excluded. */
  prefillTokens: number;
  /** When the oldest of those could begin. */
  prefillSinceMs: number;
  /** Prompt tokens computed, and not yet part of what `timing` has learnt. */
  prefilledTokens: number;
  /** What its engine takes for them. */
  readonly timing: EngineTiming;
  /** R(w) */
  activeRequests: number;
  /** Set where prefill load shrinks with time (`prefill-load.ts`). */
  prefillLoad: PrefillLoad | null;
  /** Active blocks that count as gone, because their requests are near their expected end. */
  fadedBlocks: number;
  /** As the worker last reported. */
  kvUsedBlocks: number;
  running: number;
  waiting: number;
  tiers: readonly TierLoad[];
  /** Null: its worker does not say. */
  decodeKvTokens: number | null;
}

/**
 * `serving`: takes requests. `draining`: takes no new ones. `lost`: its socket broke without a closing handshake; it keeps
 * its requests and index until the lease ends, and serves only when nobody else does.
 */
export type WorkerPhase = 'serving' | 'draining' | 'lost';

export interface Worker {
  readonly instanceId: string;
  readonly registration: Registration;
  readonly model: Model;
  readonly ranks: Rank[];
  phase: WorkerPhase;
  lastFrameMs: number;
}

export interface Model {
  readonly name: string;
  readonly card: CardEntry;
  readonly cardChecksum: string;
  readonly blockSizeTokens: number;
  readonly index: PrefixIndex;
  readonly inFlight: BlocksInFlight;
  /** What was routed where, when that feeds an index: `index` itself, or `predicted` beside it. */
  readonly routed: ApproximateCache | null;
  readonly predicted: PrefixIndex | null;
  readonly prefillSpeed: PrefillSpeed | null;
  /** What its engines take. One for all, or a rank that nobody has asked yet would look faster than those that told. */
  readonly timing: EngineTiming;
  /** Lengths of its answers. */
  readonly answers: AnswerLength;
  readonly workers: Set<Worker>;
  /** Ranks by slot. */
  readonly slots: (Rank | null)[];
  /** Ranks that may be chosen, in order of registration; `disconnected` when `connected` is empty. */
  connected: Rank[];
  disconnected: Rank[];
  /** The same for prefill workers, which answer other workers. */
  readonly prefill: { connected: Rank[]; disconnected: Rank[]; turn: number };
  /** Of mode round-robin. */
  turn: number;
}

/** What of the policy decides how a model's state is made. */
export type ModelPolicy = Pick<Policy, 'useKvEvents' | 'approximate' | 'predictedTtlMs' | 'prefillLoadModel'>;

export class Workers {
  readonly #indexes: Indexes;
  readonly #policy: ModelPolicy;
  readonly #instances = new Map<string, Worker>();
  /** By name and by alias. */
  readonly #models = new Map<string, Model>();
  /** Epochs of instances that left, oldest first. */
  readonly #departed = new Map<string, number>();

  constructor(indexes: Indexes, policy: ModelPolicy) {
    this.#indexes = indexes;
    this.#policy = policy;
  }

  get size(): number {
    return this.#instances.size;
  }

  [Symbol.iterator](): IterableIterator<Worker> {
    return this.#instances.values();
  }

  worker(instanceId: string): Worker | undefined {
    return this.#instances.get(instanceId);
  }

  /** By name or alias. */
  model(name: string): Model | undefined {
    return this.#models.get(name);
  }

  models(): Set<Model> {
    return new Set(this.#models.values());
  }

  /**
   * May this worker join (again)? Throws `stale_epoch`, `card_mismatch` or `overloaded`. A worker of the same instance that is
   * here with a lower epoch must be removed before `add`.
   */
  admit({ instanceId, epoch, card, cardChecksum, dpRanks }: Registration): void {
    const present = this.#instances.get(instanceId);
    const known = present?.registration.epoch ?? this.#departed.get(instanceId) ?? -1;
    if (epoch < known) {
      throw new StatorError('stale_epoch', `instance ${instanceId}: epoch ${epoch} is older than ${known}`);
    }
    if (!present && this.#instances.size >= LIMITS.workers) {
      throw new StatorError('overloaded', `the namespace has ${LIMITS.workers} workers, its limit`);
    }
    const others = (model: Model) => [...model.workers].some((worker) => worker !== present);
    for (const name of [card.name, ...card.aliases]) {
      const model = this.#models.get(name);
      if (!model || !others(model)) continue;
      if (model.name !== card.name) {
        throw new StatorError('card_mismatch', `the name ${name} belongs to model ${model.name}`);
      }
      if (model.cardChecksum !== cardChecksum) {
        throw new StatorError(
          'card_mismatch',
          `model ${card.name}: the card differs from that of the other workers`,
        );
      }
    }
    const model = this.#models.get(card.name);
    const taken = model?.slots.filter((rank) => rank !== null && rank.worker !== present).length ?? 0;
    if (taken + dpRanks > LIMITS.slotsPerModel) {
      throw new StatorError('overloaded', `model ${card.name} has ${LIMITS.slotsPerModel} ranks, its limit`);
    }
    if (!model && this.models().size >= LIMITS.modelsPerNamespace) {
      throw new StatorError('overloaded', `the namespace has ${LIMITS.modelsPerNamespace} models, its limit`);
    }
  }

  /** Adds an admitted worker whose instance is not here. */
  add(registration: Registration, nowMs: number): Worker {
    const { instanceId } = registration;
    const model = this.#models.get(registration.card.name) ?? this.#addModel(registration);
    const worker: Worker = {
      instanceId,
      registration,
      model,
      ranks: [],
      phase: 'serving',
      lastFrameMs: nowMs,
    };
    for (let dpRank = 0; dpRank < registration.dpRanks; dpRank++) {
      worker.ranks.push(takeSlot(model, worker, dpRank));
    }
    this.#instances.set(instanceId, worker);
    this.#departed.delete(instanceId);
    model.workers.add(worker);
    listCandidates(model);
    return worker;
  }

  setPhase(worker: Worker, phase: WorkerPhase): void {
    worker.phase = phase;
    listCandidates(worker.model);
  }

  /** Forgets the worker and what the index has of it; its requests must have been freed. */
  remove(worker: Worker): void {
    const { model, instanceId } = worker;
    this.#instances.delete(instanceId);
    this.#depart(instanceId, worker.registration.epoch);
    model.workers.delete(worker);
    if (model.workers.size === 0) {
      this.#removeModel(model);
      return;
    }
    for (const { slot } of worker.ranks) {
      model.index.clear(slot);
      model.routed?.clear(slot);
      model.slots[slot] = null;
    }
    listCandidates(model);
  }

  /** Frees all indexes: the object that owns them is gone. */
  dispose(): void {
    for (const model of this.models()) this.#removeModel(model);
    this.#instances.clear();
  }

  #addModel({ card, cardChecksum }: Registration): Model {
    const { prefillLoadModel } = this.#policy;
    const model: Model = {
      name: card.name,
      card,
      cardChecksum,
      blockSizeTokens: card.blockSizeTokens,
      ...this.#prefixes(),
      inFlight: this.#indexes.blocksInFlight(),
      timing: new EngineTiming(),
      answers: new AnswerLength(),
      prefillSpeed: prefillLoadModel === 'none' ? null : new PrefillSpeed(),
      workers: new Set(),
      slots: [],
      connected: [],
      disconnected: [],
      prefill: { connected: [], disconnected: [], turn: 0 },
      turn: 0,
    };
    for (const name of [card.name, ...card.aliases]) this.#models.set(name, model);
    return model;
  }

  #prefixes(): Pick<Model, 'index' | 'routed' | 'predicted'> {
    const { useKvEvents, approximate, predictedTtlMs } = this.#policy;
    const index = this.#indexes.prefixIndex();
    if (!useKvEvents) return { index, routed: new ApproximateCache(index, approximate), predicted: null };
    if (predictedTtlMs === null) return { index, routed: null, predicted: null };
    const predicted = this.#indexes.prefixIndex();
    const options = { ...approximate, policy: 'ttl' as const, ttlMs: predictedTtlMs };
    return { index, routed: new ApproximateCache(predicted, options), predicted };
  }

  #removeModel(model: Model): void {
    for (const [name, owner] of this.#models) if (owner === model) this.#models.delete(name);
    model.index.free();
    model.predicted?.free();
    model.inFlight.free();
  }

  #depart(instanceId: string, epoch: number): void {
    this.#departed.set(instanceId, epoch);
    if (this.#departed.size <= LIMITS.departedInstances) return;
    this.#departed.delete(this.#departed.keys().next().value!);
  }
}

function takeSlot(model: Model, worker: Worker, dpRank: number): Rank {
  const unused = model.slots.indexOf(null);
  const slot = unused === -1 ? model.slots.length : unused;
  const rank: Rank = {
    worker,
    dpRank,
    slot,
    stream: null,
    prefillTokens: 0,
    activeRequests: 0,
    prefilledTokens: 0,
    prefillSinceMs: 0,
    timing: model.timing,
    prefillLoad: model.prefillSpeed && new PrefillLoad(),
    fadedBlocks: 0,
    kvUsedBlocks: 0,
    tiers: [],
    decodeKvTokens: null,
    running: 0,
    waiting: 0,
  };
  model.slots[slot] = rank;
  return rank;
}

/** Prefill and encode workers answer other workers, not requests. */
export const takesRequests = ({ registration: { workerType } }: Worker) =>
  workerType === 'aggregated' || workerType === 'decode';
const prefills = ({ registration: { workerType } }: Worker) => workerType === 'prefill';

function listCandidates(model: Model): void {
  const workers = [...model.workers];
  const ranks = (phase: WorkerPhase, does: (worker: Worker) => boolean) =>
    workers.filter((worker) => worker.phase === phase && does(worker)).flatMap((worker) => worker.ranks);
  model.connected = ranks('serving', takesRequests);
  model.disconnected = ranks('lost', takesRequests);
  model.prefill.connected = ranks('serving', prefills);
  model.prefill.disconnected = ranks('lost', prefills);
}
