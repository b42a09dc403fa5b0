/**
 * Tickets of requests that wait, and answers that wait to be fetched. A ticket that nobody asks for is dropped after a
 * while, so a client that left costs nothing: not a place in the queue, nor the worker that was chosen for it.
 *
 * Numbers are u32 ≥ 1 that begin at random, so that a ticket of the object's earlier life is unknown here.
 */

import type { RouteAnswer } from '../rpc.ts';

export type Wake = (answer: RouteAnswer) => void;

/** What a ticket is for. */
export interface Waiting {
  readonly ticket: number;
  readonly request: { readonly requestId: string };
  readonly enqueuedMs: number;
}

export interface Ticket<Entry extends Waiting> {
  readonly number: number;
  readonly requestId: string;
  /** When somebody last asked. */
  askedMs: number;
  /** Null once there is an answer. */
  entry: Entry | null;
  answer: RouteAnswer | null;
  /** Who waits at the moment. */
  wake: Wake | null;
}

export class Tickets<Entry extends Waiting> {
  /** In order of asking, so the one that nobody asks for comes to the front. */
  readonly #tickets = new Map<number, Ticket<Entry>>();
  readonly #idleMs: number;
  #last: number;

  constructor(options: { first: number; idleMs: number }) {
    this.#last = options.first >>> 0;
    this.#idleMs = options.idleMs;
  }

  get size(): number {
    return this.#tickets.size;
  }

  /** The one that nobody asks for the longest first. */
  all(): IterableIterator<Ticket<Entry>> {
    return this.#tickets.values();
  }

  get(number: number): Ticket<Entry> | undefined {
    return this.#tickets.get(number);
  }

  /** A number for the next ticket: even or odd as the first one, so that two sets of tickets share no number. */
  number(): number {
    do this.#last = (this.#last + 2) >>> 0;
    while (this.#last === 0 || this.#tickets.has(this.#last));
    return this.#last;
  }

  open(entry: Entry): void {
    const number = entry.ticket;
    const { requestId } = entry.request;
    const askedMs = entry.enqueuedMs;
    this.#tickets.set(number, { number, requestId, askedMs, entry, answer: null, wake: null });
  }

  /** Those of some requests. */
  of(requestIds: ReadonlySet<string>): Ticket<Entry>[] {
    return [...this.#tickets.values()].filter(({ requestId }) => requestIds.has(requestId));
  }

  asked(ticket: Ticket<Entry>, nowMs: number): void {
    ticket.askedMs = nowMs;
    this.#tickets.delete(ticket.number);
    this.#tickets.set(ticket.number, ticket);
  }

  close(ticket: Ticket<Entry>): void {
    this.#tickets.delete(ticket.number);
  }

  /** The ticket that has gone unasked for too long. */
  forgotten(nowMs: number): Ticket<Entry> | null {
    for (const ticket of this.#tickets.values()) {
      if (nowMs - ticket.askedMs < this.#idleMs) return null;
      // Somebody waits, and the loop stood still: not forgotten.
      if (ticket.wake === null) return ticket;
    }
    return null;
  }

  /** Gives those that have gone unasked for too long to whoever drops them, which closes them. */
  forget(nowMs: number, drop: (ticket: Ticket<Entry>) => void): void {
    for (let ticket = this.forgotten(nowMs); ticket !== null; ticket = this.forgotten(nowMs)) drop(ticket);
  }
}
