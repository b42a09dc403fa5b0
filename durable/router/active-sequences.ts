/**
 * What is in flight, from the decision to the end (semantics §1.5): reserved → accepted → first token → end.
 *
 * It owns the loads that the cost reads: P(w) and R(w) here, unique active blocks D(w) in wasm. Invariants: phases only
 * move forward, a later one implies the earlier; only the request's own worker may report on it; freeing is idempotent; when
 * nothing is in flight all loads are 0. A reservation that its worker never accepts runs out after
 * `LIMITS.reservationMs`, a request that its worker forgot after `LIMITS.staleRequestMs` and one sweep of grace.
 * Where a request said how long its answer will be, the blocks that only it holds fade towards 0 as it gets there.
 * Numbers are u32 ≥ 1 and start at random, so that a number of the router's earlier life means nothing here.
 */

import type { Clock } from '../runtime/clock.ts';
import { LIMITS } from '../runtime/limits.ts';
import { HASH_BYTES } from './blocks.ts';
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
  /** Silent for long at the last sweep: the next one ends it. */
  suspect: boolean;
  /** No other prompt was waiting on the rank when this one came. */
  readonly alone: boolean;
  /** When its client asked; -1: a further attempt, which nobody's first token waits for. */
  readonly arrivedMs: number;
  /** When its first token was told; 0 before. */
  firstTokenMs: number;
  /** Kept only while its blocks may fade. */
  readonly fading: { blockHashes: Uint8Array; outputTokens: number } | null;
  fadedBlocks: number;
  /** A prompt for another worker, whose reservation this is; 0: a whole request. */
  readonly prefillFor: number;
  /** The reservation of the worker that computes its prompt; 0: none. It ends with this one. */
  prefilledBy: number;
}

export interface NewRequest {
  blockHashes: Uint8Array;
  promptTokens: number;
  /** Prompt tokens that the chosen rank need not compute. */
  cachedTokens: number;
  /** Count no prompt tokens to compute; count no blocks; share none with other requests. */
  untrackedPrefill?: boolean;
  untrackedBlocks?: boolean;
  unshared?: boolean;
  expectedOutputTokens?: number | undefined;
  /** The reservation of the request that this prompt is computed for. */
  prefillFor?: number;
  /** Absent: now. */
  arrivedMs?: number;
}

export interface ActiveSequencesOptions {
  /** Any u32. */
  firstReservation: number;
  trackOutputBlocks: boolean;
  clock: Clock;
}

export class ActiveSequences {
  readonly #requests = new Map<number, InFlight>();
  /** Not yet accepted, in order of time. */
  readonly #reserved = new Map<number, InFlight>();
  readonly #trackOutputBlocks: boolean;
  readonly #clock: Clock;
  #next: number;
  #staleSweepMs = 0;

  constructor({ firstReservation, trackOutputBlocks, clock }: ActiveSequencesOptions) {
    this.#next = firstReservation >>> 0;
    this.#trackOutputBlocks = trackOutputBlocks;
    this.#clock = clock;
  }

  get size(): number {
    return this.#requests.size;
  }

  /** Requests without a first token. */
  get waiting(): number {
    let waiting = 0;
    for (const { phase, prefillFor } of this.#requests.values()) {
      if (phase !== 'decoding' && prefillFor === 0) waiting++;
    }
    return waiting;
  }

  get(reservation: number): InFlight | undefined {
    return this.#requests.get(reservation);
  }

  /** Counts the request on the chosen rank; returns its number. */
  reserve(rank: Rank, request: NewRequest, nowMs: number): number {
    const { model } = rank.worker;
    const { promptTokens, blockHashes, expectedOutputTokens } = request;
    const reservation = this.#number();
    const tracked = request.untrackedPrefill ? 0 : promptTokens - request.cachedTokens;
    const shares = !request.untrackedBlocks && !request.unshared;
    const fades = this.#trackOutputBlocks && shares && expectedOutputTokens !== undefined;
    const entry: InFlight = {
      reservation,
      rank,
      prefillTokens: Math.max(tracked, 0),
      promptTokens,
      totalBlocks: Math.ceil(promptTokens / model.blockSizeTokens),
      phase: 'reserved',
      heardMs: nowMs,
      suspect: false,
      alone: rank.prefillTokens === 0,
      arrivedMs: request.arrivedMs ?? nowMs,
      firstTokenMs: 0,
      fading: fades ? { blockHashes: blockHashes.slice(), outputTokens: expectedOutputTokens } : null,
      fadedBlocks: 0,
      prefillFor: request.prefillFor ?? 0,
      prefilledBy: 0,
    };
    const whole = this.#requests.get(entry.prefillFor);
    if (whole) whole.prefilledBy = reservation;
    this.#requests.set(reservation, entry);
    this.#reserved.set(reservation, entry);
    rank.activeRequests++;
    if (!request.untrackedBlocks) {
      model.inFlight.add(reservation, rank.slot, blockHashes, request.unshared ? reservation : 0);
    }
    if (entry.prefillTokens > 0) this.#addPrefill(entry, nowMs);
    return reservation;
  }

  accepted(entry: InFlight, nowMs: number): void {
    entry.heardMs = nowMs;
    entry.suspect = false;
    if (entry.phase !== 'reserved') return;
    entry.phase = 'accepted';
    this.#reserved.delete(entry.reservation);
  }

  /** `ttftMs` as the worker measured it; 0: unknown. */
  firstToken(entry: InFlight, nowMs: number, ttftMs = 0): void {
    this.accepted(entry, nowMs);
    if (entry.phase !== 'decoding') entry.firstTokenMs = nowMs;
    entry.phase = 'decoding';
    if (entry.prefillTokens === 0) return;
    if (entry.alone) entry.rank.worker.model.prefillSpeed?.learn(entry.prefillTokens, ttftMs);
    learnPrefill(entry, nowMs, ttftMs);
    this.#endPrefill(entry, nowMs);
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
    if (entry.fading) this.#fade(entry, entry.fading, outputTokens);
  }

  /** The worker says that it is over, after so many tokens; a short answer's first token is told with its end. */
  ended(entry: InFlight, answer: { outputTokens: number; ttftMs: number }, nowMs: number): void {
    const { outputTokens, ttftMs } = answer;
    if (outputTokens > 0 && entry.phase !== 'decoding') this.firstToken(entry, nowMs, ttftMs);
    const { rank, firstTokenMs, phase } = entry;
    const { model, registration } = rank.worker;
    if (phase === 'decoding' && outputTokens > 0 && entry.prefillFor === 0) {
      const usedBlocks = model.inFlight.active(rank.slot);
      rank.timing.learnDecode(outputTokens - 1, nowMs - firstTokenMs, usedBlocks, registration.totalKvBlocks);
      model.answers.learn(outputTokens);
    }
    this.free(entry.reservation);
  }

  /** The end, whatever the reason. False when the number means nothing (any more). */
  free(reservation: number): boolean {
    const entry = this.#requests.get(reservation);
    if (!entry) return false;
    this.#requests.delete(reservation);
    this.#reserved.delete(reservation);
    const { rank } = entry;
    if (entry.prefillTokens > 0) this.#endPrefill(entry, this.#clock.nowMs());
    rank.activeRequests--;
    // Sums of fractions would leave dust behind.
    rank.fadedBlocks = rank.activeRequests === 0 ? 0 : rank.fadedBlocks - entry.fadedBlocks;
    rank.worker.model.inFlight.remove(reservation);
    if (entry.prefilledBy !== 0) this.free(entry.prefilledBy);
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
      for (const [reservation, entry] of this.#requests) {
        if (nowMs - entry.heardMs < LIMITS.staleRequestMs) continue;
        if (!entry.suspect) entry.suspect = true;
        else if (this.free(reservation)) stale++;
      }
    }
    return { expired, stale };
  }

  #addPrefill({ reservation, rank, prefillTokens: tokens }: InFlight, nowMs: number): void {
    if (rank.prefillTokens === 0) rank.prefillSinceMs = nowMs;
    rank.prefillTokens += tokens;
    if (!rank.prefillLoad) return;
    const expectedMs = rank.worker.model.prefillSpeed?.expectedMs(tokens) ?? null;
    rank.prefillLoad.add(reservation, { tokens, expectedMs }, nowMs);
  }

  #endPrefill(entry: InFlight, nowMs: number): void {
    entry.rank.prefillTokens -= entry.prefillTokens;
    entry.prefillTokens = 0;
    entry.rank.prefillSinceMs = nowMs;
    entry.rank.prefillLoad?.remove(entry.reservation, nowMs);
  }

  /** Output and the part of the prompt that nobody else on the rank shares count less, the nearer the expected end is. */
  #fade(entry: InFlight, fading: NonNullable<InFlight['fading']>, outputTokens: number): void {
    const { rank, reservation, promptTokens, totalBlocks } = entry;
    const { inFlight, blockSizeTokens } = rank.worker.model;
    const { blockHashes } = fading;
    const outputBlocks = totalBlocks - Math.ceil(promptTokens / blockSizeTokens);
    // What the others share is what is active without this request.
    inFlight.remove(reservation);
    const sharedBlocks = inFlight.shared(blockHashes)[rank.slot] ?? 0;
    inFlight.add(reservation, rank.slot, blockHashes, 0);
    inFlight.grow(reservation, outputBlocks);
    const own = blockHashes.length / HASH_BYTES - sharedBlocks + outputBlocks;
    const faded = own * Math.min(outputTokens / Math.max(fading.outputTokens, 1), 1);
    rank.fadedBlocks += faded - entry.fadedBlocks;
    entry.fadedBlocks = faded;
  }

  #number(): number {
    do this.#next = (this.#next + 1) >>> 0;
    while (this.#next === 0 || this.#requests.has(this.#next));
    return this.#next;
  }
}

/**
 * What a prompt took of the rank, at most: the time since the last first token, shared among all prompts that were told since
 * (exact while prompts wait there), and no longer than its worker says. The second keeps what is slow between router and
 * worker from counting as computing.
 */
function learnPrefill({ rank, prefillTokens }: InFlight, nowMs: number, ttftMs: number): void {
  rank.prefilledTokens += prefillTokens;
  const sinceMs = nowMs - rank.prefillSinceMs;
  if (sinceMs <= 0) return;
  const ms = (sinceMs * prefillTokens) / rank.prefilledTokens;
  rank.timing.learnPrefill(prefillTokens, ttftMs > 0 ? Math.min(ms, ttftMs) : ms);
  rank.prefilledTokens = 0;
}
