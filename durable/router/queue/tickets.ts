/**
 * Tickets of requests that wait, and answers that wait to be fetched. A ticket that nobody asks for is dropped after a
 * while, so a client that left costs nothing: not a place in the queue, nor the worker that was chosen for it.
 *
 * Numbers are u32 ≥ 1 that begin at random, so that a ticket of the object's earlier life is unknown here.
 */

import type { RouteAnswer } from '../rpc.ts';
import type { QueueEntry } from './entry.ts';

export type Wake = (answer: RouteAnswer) => void;

export interface Ticket {
  readonly number: number;
  readonly requestId: string;
  /** When somebody last asked. */
  askedMs: number;
  /** Null once there is an answer. */
  entry: QueueEntry | null;
  answer: RouteAnswer | null;
  /** Who waits at the moment. */
  wake: Wake | null;
}

export class Tickets {
  /** In order of asking, so the one that nobody asks for comes to the front. */
  readonly #tickets = new Map<number, Ticket>();
  readonly #idleMs: number;
  #last: number;

  constructor(options: { first: number; idleMs: number }) {
    this.#last = options.first >>> 0;
    this.#idleMs = options.idleMs;
  }

  get size(): number {
    return this.#tickets.size;
  }

  get(number: number): Ticket | undefined {
    return this.#tickets.get(number);
  }

  /** A number for the next ticket. */
  number(): number {
    do this.#last = (this.#last + 1) >>> 0;
    while (this.#last === 0 || this.#tickets.has(this.#last));
    return this.#last;
  }

  open(entry: QueueEntry): void {
    const number = entry.ticket;
    const { requestId } = entry.request;
    const askedMs = entry.enqueuedMs;
    this.#tickets.set(number, { number, requestId, askedMs, entry, answer: null, wake: null });
  }

  /** Those of some requests. */
  of(requestIds: ReadonlySet<string>): Ticket[] {
    return [...this.#tickets.values()].filter(({ requestId }) => requestIds.has(requestId));
  }

  asked(ticket: Ticket, nowMs: number): void {
    ticket.askedMs = nowMs;
    this.#tickets.delete(ticket.number);
    this.#tickets.set(ticket.number, ticket);
  }

  close(ticket: Ticket): void {
    this.#tickets.delete(ticket.number);
  }

  /** The ticket that has gone unasked for too long. */
  forgotten(nowMs: number): Ticket | null {
    for (const ticket of this.#tickets.values()) {
      if (nowMs - ticket.askedMs < this.#idleMs) return null;
      // Somebody waits, and the loop stood still: not forgotten.
      if (ticket.wake === null) return ticket;
    }
    return null;
  }
}
