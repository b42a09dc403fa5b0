/**
 * What waits in one policy class. Entries of one lane are ordered among themselves, and a lane whose head can go is not
 * held up by another lane's (a request that is pinned to a busy worker stops nobody else). Also keeps the sums that limits
 * are checked against, and the order of arrival, in which deadlines pass.
 */

import { LIMITS } from '../../runtime/limits.ts';
import type { QueueLimitKind } from '../rpc.ts';
import type { RingClass } from './deficit-round-robin.ts';
import { costTokens, isBefore, type QueueEntry, scoreOf } from './entry.ts';
import { EntryHeap } from './entry-heap.ts';
import type { PolicyClass } from './policy-profile.ts';

/** May an entry go now, by the standards of its class? */
export interface Readiness {
  /** Has the lane of this entry a worker that is not busy? */
  laneIsOpen(entry: QueueEntry, policy: PolicyClass): boolean;
  /** Its lane is open. */
  canGo(entry: QueueEntry, policy: PolicyClass): boolean;
}

export class ClassQueue implements RingClass<QueueEntry> {
  readonly policy: PolicyClass;
  readonly #readiness: Readiness;
  readonly #lanes = new Map<string, EntryHeap>();
  /** In order of arrival. */
  readonly #entries = new Set<QueueEntry>();
  deficit = 0;
  rawIslTokens = 0;
  cachedTokens = 0;

  constructor(policy: PolicyClass, readiness: Readiness) {
    this.policy = policy;
    this.#readiness = readiness;
  }

  get quantum(): number {
    return this.policy.quantum;
  }

  get size(): number {
    return this.#entries.size;
  }

  get isEmpty(): boolean {
    return this.#entries.size === 0;
  }

  /** In order of arrival. */
  get entries(): Iterable<QueueEntry> {
    return this.#entries;
  }

  cost(entry: QueueEntry): number {
    return costTokens(entry);
  }

  add(entry: QueueEntry): void {
    entry.score = scoreOf(this.policy.queuePolicy, entry);
    entry.dueMs = entry.enqueuedMs + (this.policy.sloMs ?? Number.POSITIVE_INFINITY);
    this.#entries.add(entry);
    this.rawIslTokens += entry.rawIslTokens;
    this.cachedTokens += entry.cachedTokens;
    let lane = this.#lanes.get(entry.lane);
    if (lane === undefined) {
      lane = new EntryHeap();
      this.#lanes.set(entry.lane, lane);
    }
    lane.add(entry);
  }

  /** The entry must be here. */
  take(entry: QueueEntry): void {
    this.#entries.delete(entry);
    this.rawIslTokens -= entry.rawIslTokens;
    this.cachedTokens -= entry.cachedTokens;
    const lane = this.#lanes.get(entry.lane)!;
    lane.remove(entry);
    if (lane.size === 0) this.#lanes.delete(entry.lane);
  }

  head(): QueueEntry | null {
    let best: QueueEntry | null = null;
    for (const lane of this.#lanes.values()) {
      const { first } = lane;
      if (best !== null && !isBefore(first!, best)) continue;
      if (this.#readiness.laneIsOpen(first!, this.policy)) best = this.#firstOf(lane, best);
    }
    return best;
  }

  /** Who goes first, of `best` and the entries of a lane that may pass those before them. */
  #firstOf(lane: EntryHeap, best: QueueEntry | null): QueueEntry | null {
    let left = LIMITS.queueLookahead;
    for (const entry of lane.inOrder()) {
      if (best !== null && !isBefore(entry, best)) return best;
      if (this.#readiness.canGo(entry, this.policy)) return entry;
      if (--left === 0) return best;
    }
    return best;
  }

  /** The first whose deadline has passed: with one deadline for all, who came first is due first. */
  overdue(nowMs: number): QueueEntry | null {
    for (const entry of this.#entries) return entry.dueMs <= nowMs ? entry : null;
    return null;
  }

  /** The first limit that what waits already reaches, so that the request that crosses it is still taken. */
  reached(workers: number): { kind: QueueLimitKind; current: number; limit: number } | null {
    const { requests, rawIslTokens, cachedTokens } = this.policy.limits;
    const checks = [
      ['requests', this.size, requests],
      ['raw_isl_tokens', this.rawIslTokens, rawIslTokens],
      ['cached_tokens', this.cachedTokens, cachedTokens],
    ] as const;
    for (const [kind, current, perWorker] of checks) {
      if (perWorker === null) continue;
      const limit = perWorker * workers;
      if (current >= limit) return { kind, current, limit };
    }
    return null;
  }
}
