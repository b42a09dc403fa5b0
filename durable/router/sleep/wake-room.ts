/**
 * Where requests wait whose model sleeps. Each has a ticket, like one in the queue (queue/request-queue.ts), and is routed like
 * any other as soon as somebody serves its model; the first that came goes first. Bounded in number and in time; who does
 * not ask for its ticket any more gives up its place.
 *
 * Pure: the clock comes with each call. Waking is not done here (waker.ts).
 */

import { refusal } from '../eligibility.ts';
import { type Ticket, Tickets, type Waiting, type Wake } from '../queue/tickets.ts';
import type { RouteAnswer, RouteRefusal, RouteRequest } from '../rpc.ts';

/** What prompts were made with; a worker of another cannot take them. */
export interface PromptMaker {
  tokenizerSha256: string | null;
  blockSizeTokens: number;
}

interface Sleeper extends Waiting {
  readonly request: RouteRequest;
  readonly maker: PromptMaker;
}

export interface WakeRoomOptions {
  /** Any odd u32. */
  firstTicket: number;
  /** A ticket that nobody asks for is dropped after this long. */
  ticketIdleMs: number;
  /** Most requests, and how long one waits. */
  most: number;
  timeoutMs: number;
  /** Who serves the model now; null: nobody yet. */
  serves(model: string): PromptMaker | null;
  route(request: RouteRequest): RouteAnswer;
  release(reservation: number): unknown;
}

/** Seconds after which a client that was turned away may try again. */
const RETRY_AFTER_S = 1;

export class WakeRoom {
  readonly #options: WakeRoomOptions;
  readonly #tickets: Tickets<Sleeper>;
  /** Nobody could be woken a moment ago: until when nobody tries, and why. */
  #rest: { untilMs: number; why: string } | null = null;

  constructor(options: WakeRoomOptions) {
    this.#options = options;
    this.#tickets = new Tickets({ first: options.firstTicket, idleMs: options.ticketIdleMs });
  }

  /** Requests that wait, and answers that wait to be fetched. */
  get size(): number {
    return this.#tickets.size;
  }

  /** Whether somebody waits for a worker. */
  get hasWaiting(): boolean {
    for (const { entry } of this.#tickets.all()) if (entry !== null) return true;
    return false;
  }

  has(number: number): boolean {
    return this.#tickets.get(number) !== undefined;
  }

  hold(request: RouteRequest, maker: PromptMaker, nowMs: number): RouteAnswer {
    this.#forget(nowMs);
    if (this.#rest !== null && nowMs < this.#rest.untilMs) return resting(this.#rest, request, nowMs);
    const { most } = this.#options;
    if (this.size >= most) {
      const message = `Model ${request.model} sleeps, and ${most} requests wait for it to wake, the limit.`;
      return refusal('no_workers', message, RETRY_AFTER_S);
    }
    const entry = { ticket: this.#tickets.number(), request, maker, enqueuedMs: nowMs };
    this.#tickets.open(entry);
    return { kind: 'ticket', ticket: entry.ticket, mayBeShed: true };
  }

  /** As `RequestQueue.wait`: the ticket's answer, or null, and `wake` is called with it. */
  wait(number: number, wake: Wake, nowMs: number): RouteAnswer | null {
    const ticket = this.#tickets.get(number)!;
    this.#tickets.asked(ticket, nowMs);
    this.#forget(nowMs);
    if (ticket.entry !== null && nowMs >= this.#dueMs(ticket.entry)) {
      this.#settle(ticket, this.#tooLate(ticket.entry));
    }
    if (ticket.answer === null) {
      ticket.wake = wake;
      return null;
    }
    this.#tickets.close(ticket);
    return ticket.answer;
  }

  /** False when `wake` was called. */
  unwait(number: number, wake: Wake): boolean {
    const ticket = this.#tickets.get(number);
    if (ticket?.wake !== wake) return false;
    ticket.wake = null;
    return true;
  }

  /** How long a wait that begins now may last. */
  waitMs(number: number, mostMs: number, nowMs: number): number {
    const entry = this.#tickets.get(number)?.entry;
    return entry ? Math.min(mostMs, Math.max(this.#dueMs(entry) - nowMs, 1)) : 1;
  }

  /** Somebody joined: whoever can be served now is routed. */
  admit(nowMs: number): void {
    this.#forget(nowMs);
    this.#rest = null;
    for (const [ticket, entry] of this.#waiting()) {
      const now = this.#options.serves(entry.request.model);
      if (now === null) continue;
      const { tokenizerSha256, blockSizeTokens } = entry.maker;
      const isSame = now.tokenizerSha256 === tokenizerSha256 && now.blockSizeTokens === blockSizeTokens;
      this.#settle(ticket, isSame ? this.#options.route(entry.request) : changed(entry));
    }
  }

  /** Nobody will come: everybody who waits is told, and so is who comes within the next `restMs`. */
  turnAway(why: string, restMs: number, nowMs: number): void {
    const rest = { untilMs: nowMs + restMs, why };
    this.#rest = rest;
    for (const [ticket, { request }] of this.#waiting()) this.#settle(ticket, resting(rest, request, nowMs));
  }

  abandon(requestIds: ReadonlySet<string>): void {
    for (const ticket of this.#tickets.of(requestIds)) {
      const { wake } = ticket;
      this.#drop(ticket);
      wake?.(refusal('cancelled', 'the request was cancelled'));
    }
  }

  /** In the order of their coming. */
  #waiting(): [Ticket<Sleeper>, Sleeper][] {
    const waiting: [Ticket<Sleeper>, Sleeper][] = [];
    for (const ticket of this.#tickets.all()) if (ticket.entry !== null) waiting.push([ticket, ticket.entry]);
    return waiting.sort(([, a], [, b]) => a.enqueuedMs - b.enqueuedMs || a.ticket - b.ticket);
  }

  #dueMs({ enqueuedMs }: Sleeper): number {
    return enqueuedMs + this.#options.timeoutMs;
  }

  #tooLate({ request }: Sleeper): RouteRefusal {
    const seconds = this.#options.timeoutMs / 1_000;
    const message = `Model ${request.model} sleeps, and no worker of it was ready within ${seconds} seconds.`;
    return refusal('no_workers', message, RETRY_AFTER_S);
  }

  #settle(ticket: Ticket<Sleeper>, answer: RouteAnswer): void {
    ticket.entry = null;
    ticket.answer = answer;
    const { wake } = ticket;
    if (wake === null) return;
    this.#tickets.close(ticket);
    wake(answer);
  }

  #forget(nowMs: number): void {
    this.#tickets.forget(nowMs, (ticket) => this.#drop(ticket));
  }

  #drop(ticket: Ticket<Sleeper>): void {
    this.#tickets.close(ticket);
    if (ticket.answer?.kind === 'decision') this.#options.release(ticket.answer.reservation);
  }
}

function resting(
  { untilMs, why }: { untilMs: number; why: string },
  { model }: RouteRequest,
  nowMs: number,
): RouteRefusal {
  const message = `Model ${model} sleeps and could not be woken: ${why}`;
  return refusal('no_workers', message, Math.max(Math.ceil((untilMs - nowMs) / 1_000), RETRY_AFTER_S));
}

const changed = ({ request }: Sleeper): RouteRefusal =>
  refusal(
    'no_workers',
    `Model ${request.model} is another one since it woke; please ask again.`,
    RETRY_AFTER_S,
  );
