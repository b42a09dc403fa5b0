/**
 * Requests of a batch that may be answered later: each waits by itself, longer from time to time, and others go on. What
 * failed by our fault is tried a few times. A model that is not there may be starting, with the platform or after it was
 * lost: its requests wait for a minute, counted once for the batch. Pure.
 */

import { LIMITS } from '../runtime/limits.ts';
import type { BatchLine } from './ledger.ts';

/** `no_room`: nobody could take it. `our_fault`: it broke. `no_model`: its model is not there. */
export type Setback = 'no_room' | 'our_fault' | 'no_model';

export class Retries {
  readonly #waiting: { line: BatchLine; dueMs: number }[] = [];
  /** By line: how often it came back. */
  readonly #setbacks = new Map<number, number>();
  /** Since when a model is not there; null: it answered. */
  readonly #models = new Map<string, number | null>();
  readonly #startedMs: number;

  /** `startedMs`: what was not there since then is not known to exist. */
  constructor(startedMs: number) {
    this.#startedMs = startedMs;
  }

  get size(): number {
    return this.#waiting.length;
  }

  /** When the next one may go; Infinity: nobody waits. */
  get dueMs(): number {
    return this.#waiting.reduce((least, { dueMs }) => Math.min(least, dueMs), Number.POSITIVE_INFINITY);
  }

  /** Keeps a line for later. False: it has had its chances. */
  keep(line: BatchLine, why: Setback, model: string, nowMs: number): boolean {
    const times = (this.#setbacks.get(line.line) ?? 0) + 1;
    if (why === 'our_fault' && times >= LIMITS.batchAttempts) return this.#givenUp(line);
    if (why === 'no_model' && !this.#mayCome(model, nowMs)) return this.#givenUp(line);
    this.#setbacks.set(line.line, times);
    const delayMs = Math.min(LIMITS.batchPauseMs * 2 ** (times - 1), LIMITS.batchLongPauseMs);
    this.#waiting.push({ line, dueMs: nowMs + delayMs });
    return true;
  }

  /** A line whose time has come. */
  next(nowMs: number): BatchLine | null {
    const at = this.#waiting.findIndex(({ dueMs }) => dueMs <= nowMs);
    return at < 0 ? null : this.#waiting.splice(at, 1)[0]!.line;
  }

  answered({ line }: BatchLine, model: string): void {
    this.#setbacks.delete(line);
    if (this.#models.size < LIMITS.batchModels || this.#models.has(model)) this.#models.set(model, null);
  }

  clear(): void {
    this.#waiting.length = 0;
  }

  #givenUp({ line }: BatchLine): false {
    this.#setbacks.delete(line);
    return false;
  }

  #mayCome(model: string, nowMs: number): boolean {
    let sinceMs = this.#models.get(model) ?? null;
    if (sinceMs === null) {
      sinceMs = this.#models.has(model) ? nowMs : this.#startedMs;
      if (this.#models.size < LIMITS.batchModels) this.#models.set(model, sinceMs);
    }
    return nowMs - sinceMs < LIMITS.batchModelMs;
  }
}
