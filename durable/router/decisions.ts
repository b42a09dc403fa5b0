/**
 * Decisions as the router answers them: chooses, counts the request on the chosen rank, remembers where its prompt and its
 * session went. Everything that a decision changes is here, and a query changes nothing.
 */

import type { Clock } from '../runtime/clock.ts';
import { LIMITS } from '../runtime/limits.ts';
import type { ActiveSequences } from './active-sequences.ts';
import { SessionAffinity } from './affinity.ts';
import { HASH_BYTES } from './blocks.ts';
import { Disaggregation } from './disagg/disaggregation.ts';
import { eligible, refusal } from './eligibility.ts';
import type { Choice } from './modes/mode.ts';
import { Overload } from './overload.ts';
import { type Policy, policyFor } from './policy.ts';
import type { RouterMetrics } from './router-metrics.ts';
import type { PrefillDecision, RouteDecision, RouteRefusal, RouteRequest } from './rpc.ts';
import { candidatesOf, schedule } from './scheduler.ts';
import type { Model, Rank } from './workers.ts';

/** What every answer repeats. */
interface Issuer {
  readonly routerBoot: number;
  readonly directoryVersion: number;
}

interface DecisionsOptions {
  policy: Policy;
  issuer: Issuer;
  clock: Clock;
  sequences: ActiveSequences;
  metrics: RouterMetrics;
}

const TAKEN_BY_ANYBODY: PrefillDecision = {
  worker: '',
  grpcAddress: '',
  dpRank: 0,
  reservation: 0,
  overlapBlocks: 0,
  cachedTokens: 0,
};

export class Decisions {
  readonly overload: Overload;
  readonly disaggregation: Disaggregation;
  readonly #policy: Policy;
  readonly #issuer: Issuer;
  readonly #sequences: ActiveSequences;
  readonly #metrics: RouterMetrics;
  readonly #affinity: SessionAffinity | null;

  constructor({ policy, issuer, clock, sequences, metrics }: DecisionsOptions) {
    this.overload = new Overload(policy.busy, clock);
    this.disaggregation = new Disaggregation(policy);
    this.#policy = policy;
    this.#issuer = issuer;
    this.#sequences = sequences;
    this.#metrics = metrics;
    this.#affinity = policy.affinityTtlMs === null ? null : new SessionAffinity(policy.affinityTtlMs);
  }

  /** Ranks that may serve the request now. */
  eligible(model: Model, request: RouteRequest): readonly Rank[] {
    const candidates = eligible(model, request, this.overload);
    return 'kind' in candidates ? [] : candidates;
  }

  /** What would be decided now. Nothing changes but whose turn it is. */
  choose(model: Model, request: RouteRequest, nowMs: number): Choice | RouteRefusal {
    if (this.#sequences.size >= LIMITS.inFlight) {
      return refusal('overloaded', `${LIMITS.inFlight} requests are in flight, the limit`, 1);
    }
    const { overload } = this;
    const affinity = this.#affinity;
    return this.disaggregation.choose(model, request, nowMs, (asked) =>
      schedule(model, asked, { policy: policyFor(this.#policy, asked), overload, affinity, nowMs }),
    );
  }

  /** Makes a choice true that was made in this turn, with nothing decided since. */
  take(
    choice: Choice | RouteRefusal,
    request: RouteRequest,
    nowMs: number,
    arrivedMs = nowMs,
  ): RouteDecision | RouteRefusal {
    if ('kind' in choice) return this.#refused(choice);
    const { rank, prefill, overlapBlocks, cachedTokens } = choice;
    const asked: RouteRequest = prefill === undefined ? request : { ...request, role: 'decode' };
    const policy = policyFor(this.#policy, asked);
    // Before anything else is looked up: the table is that of the decision just made.
    const candidates = request.explain ? candidatesOf(request, policy) : undefined;
    const decision: RouteDecision = {
      kind: 'decision',
      worker: rank.worker.instanceId,
      address: rank.worker.registration.address,
      reservation: request.queryOnly ? 0 : this.#reserve(choice, request, policy, { nowMs, arrivedMs }),
      routerBoot: this.#issuer.routerBoot,
      dpRank: rank.dpRank,
      overlapBlocks,
      cachedTokens,
      directoryVersion: this.#issuer.directoryVersion,
    };
    if (prefill !== undefined) {
      // Who takes it from the queue is not known here, and it counts nowhere but in the queue.
      const queued = this.#policy.prefillQueue !== null;
      decision.prefill = queued ? TAKEN_BY_ANYBODY : this.#takePrefill(prefill, decision, request, nowMs);
    }
    if (candidates !== undefined) decision.candidates = candidates;
    if (request.role === 'prefill') decision.grpcAddress = rank.worker.registration.grpcAddress;
    return decision;
  }

  #reserve(
    { rank, overlapBlocks, cachedTokens, prefill, stays }: Choice,
    request: RouteRequest,
    policy: Policy,
    { nowMs, arrivedMs }: { nowMs: number; arrivedMs: number },
  ) {
    const { blockHashes, promptTokens, expectedOutputTokens } = request;
    const { model, registration } = rank.worker;
    const blocks = blockHashes.length / HASH_BYTES;
    const metrics = this.#metrics.model(model);
    metrics.requests.add();
    // What the worker has that will take the prompt from the queue, nobody knows.
    const known = prefill === undefined || policy.prefillQueue === null;
    if (blocks > 0 && known) metrics.kvHitRate.observe((prefill ?? { overlapBlocks }).overlapBlocks / blocks);
    if (prefill !== undefined) this.#metrics.prefills.labels(model.name, 'remote').add();
    else if (stays !== undefined) this.#metrics.prefills.labels(model.name, stays).add();
    if (blocks > 0) model.routed?.routed(rank.slot, blockHashes, registration.totalKvBlocks, nowMs);
    this.#affinity?.bind(rank, request, nowMs);
    const counted = {
      blockHashes,
      promptTokens,
      cachedTokens,
      expectedOutputTokens,
      untrackedPrefill: !policy.trackPrefillTokens,
      untrackedBlocks: !policy.trackActiveBlocks,
      unshared: !policy.assumeKvReuse,
      arrivedMs: request.release === undefined ? arrivedMs : -1,
    };
    return this.#sequences.reserve(rank, counted, nowMs);
  }

  /** The prompt counts on its own worker, which holds no blocks for it, until it is computed or the request ends. */
  #takePrefill(
    { rank, overlapBlocks, cachedTokens }: Choice,
    { reservation: prefillFor }: RouteDecision,
    request: RouteRequest,
    nowMs: number,
  ): PrefillDecision {
    const { blockHashes, promptTokens } = request;
    const { instanceId, model, registration } = rank.worker;
    const { trackPrefillTokens } = policyFor(this.#policy, { ...request, role: 'prefill' });
    const decision = { worker: instanceId, grpcAddress: registration.grpcAddress, dpRank: rank.dpRank };
    if (request.queryOnly) return { ...decision, reservation: 0, overlapBlocks, cachedTokens };
    model.routed?.routed(rank.slot, blockHashes, registration.totalKvBlocks, nowMs);
    const counted = {
      blockHashes,
      promptTokens,
      cachedTokens,
      prefillFor,
      untrackedPrefill: !trackPrefillTokens,
      untrackedBlocks: true,
    };
    return {
      ...decision,
      reservation: this.#sequences.reserve(rank, counted, nowMs),
      overlapBlocks,
      cachedTokens,
    };
  }

  #refused(answer: RouteRefusal): RouteRefusal {
    this.#metrics.refusals.labels(answer.code).add();
    return answer;
  }
}
