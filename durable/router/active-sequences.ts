/**
 * What is in flight, from the decision to the end (semantics §1.5): reserved → accepted → first token → end.
 *
 * It owns the loads that the cost reads: P(w) and R(w) here, unique active blocks D(w) in wasm. Invariants: phases only
 * move forward, a later one implies the earlier; only the request's own worker may report on it; freeing is idempotent; when
 * nothing is in flight all loads are 0. A reservation that its worker never accepts runs out after
 * `LIMITS.reservationMs`, a request that its worker forgot after `LIMITS.staleRequestMs`.
 * Numbers are u32 ≥ 1 and start at random, so that a number of the router's earlier life means nothing here.
 */

import { LIMITS } from '../runtime/limits.ts';
import type { Rank, Worker } from './workers.ts';

export interface InFlight {
  readonly reservation: number;
  readonly rank: Rank;
  /** Prompt tokens that the worker still has to compute, as estimated when it was chosen. */
  prefillTokens: number;
  readonly promptTokens: number;
  /** Blocks of prompt and output counted so far, the partial one included. */
  totalBlocks: number;
  phase: 'reserved' | 'accepted' | 'decoding';
  /** Of the decision or the last report. */
  heardMs: number;
}

export interface NewRequest {
  blockHashes: Uint8Array;
  promptTokens: number;
  /** Blocks of the prompt that the chosen rank has. */
  overlapBlocks: number;
}

export class ActiveSequences {
  readonly #requests = new Map<number, InFlight>();
  /** Not yet accepted, in order of time. */
  readonly #reserved = new Map<number, InFlight>();
  readonly #trackOutputBlocks: boolean;
  #next: number;
  #staleSweepMs = 0;

  /** `firstReservation`: any u32. */
  constructor(options: { firstReservation: number; trackOutputBlocks: boolean }) {
    this.#next = options.firstReservation >>> 0;
    this.#trackOutputBlocks = options.trackOutputBlocks;
  }

  get size(): number {
    return this.#requests.size;
  }

  get(reservation: number): InFlight | undefined {
    return this.#requests.get(reservation);
  }

  /** Counts the request on the chosen rank; returns its number. */
  reserve(rank: Rank, request: NewRequest, nowMs: number): number {
    const { blockSizeTokens } = rank.worker.model;
    const { promptTokens, overlapBlocks } = request;
    const reservation = this.#number();
    const entry: InFlight = {
      reservation,
      rank,
      prefillTokens: Math.max(promptTokens - overlapBlocks * blockSizeTokens, 0),
      promptTokens,
      totalBlocks: Math.ceil(promptTokens / blockSizeTokens),
      phase: 'reserved',
      heardMs: nowMs,
    };
    this.#requests.set(reservation, entry);
    this.#reserved.set(reservation, entry);
    rank.prefillTokens += entry.prefillTokens;
    rank.activeRequests++;
    rank.worker.model.inFlight.add(reservation, rank.slot, request.blockHashes);
    return reservation;
  }

  accepted(entry: InFlight, nowMs: number): void {
    entry.heardMs = nowMs;
    if (entry.phase !== 'reserved') return;
    entry.phase = 'accepted';
    this.#reserved.delete(entry.reservation);
  }

  firstToken(entry: InFlight, nowMs: number): void {
    this.accepted(entry, nowMs);
    entry.phase = 'decoding';
    entry.rank.prefillTokens -= entry.prefillTokens;
    entry.prefillTokens = 0;
  }

  /** `outputTokens` so far; implies the first token. */
  growth(entry: InFlight, outputTokens: number, nowMs: number): void {
    this.firstToken(entry, nowMs);
    if (!this.#trackOutputBlocks) return;
    const { model } = entry.rank.worker;
    const blocks = Math.ceil((entry.promptTokens + outputTokens) / model.blockSizeTokens);
    if (blocks <= entry.totalBlocks) return;
    model.inFlight.grow(entry.reservation, blocks - entry.totalBlocks);
    entry.totalBlocks = blocks;
  }

  /** The end, whatever the reason. False when the number means nothing (any more). */
  free(reservation: number): boolean {
    const entry = this.#requests.get(reservation);
    if (!entry) return false;
    this.#requests.delete(reservation);
    this.#reserved.delete(reservation);
    entry.rank.prefillTokens -= entry.prefillTokens;
    entry.rank.activeRequests--;
    entry.rank.worker.model.inFlight.remove(reservation);
    return true;
  }

  /** Frees everything on a worker; returns how many. */
  freeWorker(worker: Worker): number {
    let freed = 0;
    for (const [reservation, { rank }] of this.#requests) {
      if (rank.worker === worker && this.free(reservation)) freed++;
    }
    return freed;
  }

  /** Frees what ran out; returns how many of each. */
  sweep(nowMs: number): { expired: number; stale: number } {
    let expired = 0;
    for (const [reservation, { heardMs }] of this.#reserved) {
      if (nowMs - heardMs < LIMITS.reservationMs) break;
      if (this.free(reservation)) expired++;
    }
    let stale = 0;
    if (nowMs - this.#staleSweepMs >= LIMITS.staleSweepMs) {
      this.#staleSweepMs = nowMs;
      for (const [reservation, { heardMs }] of this.#requests) {
        if (nowMs - heardMs >= LIMITS.staleRequestMs && this.free(reservation)) stale++;
      }
    }
    return { expired, stale };
  }

  #number(): number {
    do this.#next = (this.#next + 1) >>> 0;
    while (this.#next === 0 || this.#requests.has(this.#next));
    return this.#next;
  }
}
