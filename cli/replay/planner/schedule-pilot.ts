/** A pool that follows a schedule: so many workers ready at the beginning of each interval, ordered early enough for that. */

import type { Pool } from '../pool.ts';
import type { Pilot } from '../simulation.ts';
import { ElasticFleet } from './elastic-fleet.ts';

export interface Schedule {
  intervalMs: number;
  /** By interval; the last goes on. The pool begins with the first. */
  workers: readonly number[];
}

export class SchedulePilot implements Pilot {
  readonly fleet: ElasticFleet;
  readonly #schedule: Schedule;
  readonly #startupMs: number;
  /** The interval that orders are next placed for. */
  #next = 1;

  constructor(pool: Pool, schedule: Schedule, startupMs: number) {
    this.fleet = new ElasticFleet(pool, { startupMs });
    this.#schedule = schedule;
    this.#startupMs = startupMs;
  }

  get dueMs(): number {
    return Math.min(this.fleet.dueMs, this.#orderMs(), this.#intervalMs());
  }

  advance(nowMs: number): void {
    this.fleet.advance(nowMs);
    while (this.#orderMs() <= nowMs) this.#order(this.#next++, nowMs);
    this.#release(nowMs);
  }

  #interval = 1;

  #orderMs(): number {
    return this.#next < this.#schedule.workers.length
      ? Math.max(0, this.#next * this.#schedule.intervalMs - this.#startupMs)
      : Number.POSITIVE_INFINITY;
  }

  #intervalMs(): number {
    return this.#interval < this.#schedule.workers.length
      ? this.#interval * this.#schedule.intervalMs
      : Number.POSITIVE_INFINITY;
  }

  /** More for an interval to come are ordered now. */
  #order(interval: number, nowMs: number): void {
    const { ready, starting } = this.fleet.state;
    this.fleet.scaleTo(Math.max(ready + starting, this.#schedule.workers[interval]!), nowMs);
  }

  /** Fewer go when their interval begins, as far as none of those ordered for a later one is among them. */
  #release(nowMs: number): void {
    while (this.#intervalMs() <= nowMs) {
      const needed = this.#schedule.workers.slice(this.#interval, this.#next);
      this.#interval++;
      const most = Math.max(...needed);
      const { ready, starting } = this.fleet.state;
      if (ready + starting > most) this.fleet.scaleTo(most, nowMs);
    }
  }
}
