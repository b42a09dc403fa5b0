/**
 * A pool whose size changes while it serves: workers take `startupMs` to be ready, and end what they have before they stop.
 * Fewer: orders not yet ready are cancelled first, newest first; then the newest workers drain: their
 * caches hold least. Every
 * worker costs from its order to its stop.
 */

import type { RoleFleet } from '../../../durable/planner/fleet.ts';
import type { Pool } from '../pool.ts';

interface Start {
  readyMs: number;
  orderedMs: number;
}

interface Member {
  number: number;
  sinceMs: number;
}

export class ElasticFleet {
  readonly #pool: Pool;
  readonly #startupMs: number;
  readonly #hired: (number: number) => void;
  /** In order of readiness. */
  readonly #starting: Start[] = [];
  #ready: Member[];
  #draining: Member[] = [];
  #stoppedMs = 0;
  #readyMs = 0;
  #nowMs = 0;

  /** Of the workers that the pool has. `hired` hears of each new one. */
  constructor(pool: Pool, { startupMs, hired }: { startupMs: number; hired?: (number: number) => void }) {
    this.#pool = pool;
    this.#startupMs = startupMs;
    this.#hired = hired ?? (() => {});
    this.#ready = pool.workers.map((_, number) => ({ number, sinceMs: 0 }));
    for (const { number } of this.#ready) this.#hired(number);
  }

  /** When the next worker is ready. */
  get dueMs(): number {
    return this.#starting[0]?.readyMs ?? Number.POSITIVE_INFINITY;
  }

  get state(): RoleFleet {
    return { ready: this.#ready.length, starting: this.#starting.length, draining: this.#draining.length };
  }

  get readyNumbers(): number[] {
    return this.#ready.map(({ number }) => number);
  }

  /** Sum over time of the ready workers, until the last `advance`. */
  get readyWorkerMs(): number {
    return this.#readyMs;
  }

  advance(nowMs: number): void {
    this.#readyMs += this.#ready.length * (nowMs - this.#nowMs);
    this.#nowMs = nowMs;
    while (this.dueMs <= nowMs) {
      const { orderedMs } = this.#starting.shift()!;
      const number = this.#pool.grow(nowMs);
      this.#ready.push({ number, sinceMs: orderedMs });
      this.#hired(number);
    }
    if (this.#draining.length > 0) this.#stopIdle(nowMs);
  }

  /** Orders or gives up workers until there will be so many. */
  scaleTo(target: number, nowMs: number): void {
    while (this.#ready.length + this.#starting.length < target) {
      this.#starting.push({ readyMs: nowMs + this.#startupMs, orderedMs: nowMs });
    }
    while (this.#ready.length + this.#starting.length > target && this.#starting.length > 0) {
      this.#stoppedMs += nowMs - this.#starting.pop()!.orderedMs;
    }
    while (this.#ready.length > target) this.#drain(nowMs);
    this.advance(nowMs);
  }

  /** Worker milliseconds paid for until the end. */
  paidMs(endMs: number): number {
    const since = (sum: number, { sinceMs }: Member) => sum + endMs - sinceMs;
    const starting = this.#starting.reduce((sum, { orderedMs }) => sum + endMs - orderedMs, 0);
    return this.#stoppedMs + starting + this.#ready.reduce(since, this.#draining.reduce(since, 0));
  }

  #drain(nowMs: number): void {
    const leaving = this.#ready.pop()!;
    this.#draining.push(leaving);
    this.#pool.drain(leaving.number, nowMs);
  }

  #stopIdle(nowMs: number): void {
    this.#draining = this.#draining.filter((member) => {
      if (!this.#pool.isIdle(member.number)) return true;
      this.#pool.leave(member.number, nowMs);
      this.#stoppedMs += nowMs - member.sinceMs;
      return false;
    });
  }
}
