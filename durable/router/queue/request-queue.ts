/**
 * The queue in front of the decision (semantics §1.7): a request that finds all its workers busy gets a ticket, and a worker
 * when one is free again and its class's turn has come. One object is one queue, so shares, limits and priorities hold
 * whatever the number of frontends in front of it.
 *
 * Pure: the clock comes with each call, and `wake` is called in the turn that decides. Off unless a class of some model has a
 * busy threshold; then `hold` is not asked and the rest does nothing. A ticket's decision is made once, when its turn
 * comes; who does not fetch it gives it back.
 */

import { LIMITS } from '../../runtime/limits.ts';
import { type Choice, prefillRank } from '../modes/mode.ts';
import type { QueueLimitKind, QueueStatus, RouteAnswer, RouteRefusal, RouteRequest } from '../rpc.ts';
import type { Model, Rank } from '../workers.ts';
import { allBusy, neverWaits, waits } from './busy.ts';
import type { ClassQueue } from './class-queue.ts';
import { costTokens, type QueueEntry } from './entry.ts';
import { Held } from './held.ts';
import { ModelQueue } from './model-queue.ts';
import type { PolicyDocument } from './policy-document.ts';
import { type PolicyClass, policyProfile } from './policy-profile.ts';
import { QueueMetrics } from './queue-metrics.ts';
import { type Ticket, Tickets, type Wake } from './tickets.ts';

export interface RequestQueueOptions {
  document: PolicyDocument;
  metricsPrefix: string;
  /** Any even u32. */
  firstTicket: number;
  /** A ticket that nobody asks for is dropped after this long; Infinity: never. */
  ticketIdleMs: number;
  model(name: string): Model | undefined;
  /** Ranks that may serve the request. */
  eligible(model: Model, request: RouteRequest): readonly Rank[];
  /** Prompt tokens that the best of these ranks has. */
  cachedTokens(model: Model, request: RouteRequest, ranks: readonly Rank[]): number;
  /** What would be decided now; nothing changes. */
  choose(model: Model, request: RouteRequest, nowMs: number): Choice | RouteRefusal;
  /** The decision, counted on its worker; or why there is none. */
  decide(request: RouteRequest, enqueuedMs: number): RouteAnswer;
  release(reservation: number): unknown;
}

export class RequestQueue {
  readonly #options: RequestQueueOptions;
  readonly #metrics: QueueMetrics;
  readonly #tickets: Tickets<QueueEntry>;
  readonly #queues = new Map<string, ModelQueue>();
  #document: PolicyDocument;
  /** Some model may have a queue. */
  #on: boolean;
  #waiting = 0;
  #sequence = 0;
  readonly #held: Held;
  #draining = false;

  constructor(options: RequestQueueOptions) {
    this.#options = options;
    this.#held = new Held(options);
    this.#document = options.document;
    this.#on = mayQueue(options.document);
    this.#metrics = new QueueMetrics(options.metricsPrefix, () => this.#queues.values());
    this.#tickets = new Tickets({ first: options.firstTicket, idleMs: options.ticketIdleMs });
  }

  /**
   * Null: no need to wait, decide now; or the choice that needs not wait. Else a ticket, or what has become of the request in
   * this very turn.
   */
  hold(model: Model, request: RouteRequest, nowMs: number): RouteAnswer | Choice | null {
    // A query waits for nothing, and an attempt that follows another one has had its turn.
    if (request.queryOnly || request.release !== undefined) return null;
    const queue = this.#queueOf(model);
    if (!queue.profile.queues) return null;
    const ranks = this.#options.eligible(model, request);
    if (ranks.length === 0) return null;
    let cachedTokens = -1;
    const cached = () => {
      if (cachedTokens === -1) cachedTokens = this.#options.cachedTokens(model, request, ranks);
      return cachedTokens;
    };
    const { policyClass, promptTokens } = request;
    const classIndex = queue.profile.classify(policyClass, () => promptTokens - cached());
    const its = queue.classes[classIndex]!;
    const isHeld = its.policy.busyWaitMs !== null && its.isEmpty;
    const choice = isHeld ? this.#options.choose(model, request, nowMs) : null;
    if (choice !== null && 'kind' in choice) return null;
    const mustWait =
      !its.isEmpty ||
      (choice !== null && waits(prefillRank(choice), its.policy, nowMs)) ||
      allBusy(ranks, its.policy, nowMs);
    // With others waiting it still goes through the ring, so that it does not pass by a class whose turn it is.
    if (!mustWait && (queue.size === 0 || neverWaits(its.policy))) return choice;
    const reached = its.reached(model.workers.size) ?? this.#full();
    if (reached !== null) return this.#rejected(model, its.policy, reached);
    const entry: QueueEntry = {
      ticket: this.#tickets.number(),
      request,
      modelName: model.name,
      lane: laneOf(request),
      enqueuedMs: nowMs,
      sequence: this.#sequence++,
      rawIslTokens: promptTokens,
      cachedTokens: Math.min(cached(), promptTokens),
      patienceMs: queue.patience.of(prefillMs(ranks[0]!, promptTokens - cached())),
      strictPriority: request.strictPriority ?? 0,
      classIndex,
      score: 0,
      dueMs: 0,
      at: 0,
      wanted: null,
      judgedMs: 0,
    };
    queue.add(entry);
    this.#waiting++;
    this.#tickets.open(entry);
    this.drain(nowMs);
    const mayBeShed = its.policy.sloMs !== null;
    return this.#fetch(entry.ticket) ?? { kind: 'ticket', ticket: entry.ticket, mayBeShed };
  }

  /**
   * The ticket's answer when there is one, and the ticket is done. Else null: `wake` is called with it in the turn that
   * decides. One waits at a time: a later call takes the place of an earlier one.
   */
  wait(number: number, wake: Wake, nowMs: number): RouteAnswer | null {
    const ticket = this.#tickets.get(number);
    if (ticket === undefined) return unknownTicket(number);
    this.#tickets.asked(ticket, nowMs);
    // What is past its time goes; what that frees is given away.
    if (this.#tickets.forgotten(nowMs) !== null || this.#isOverdue(ticket, nowMs)) this.drain(nowMs);
    const answer = this.#fetch(number);
    if (answer === null) ticket.wake = wake;
    return answer;
  }

  /** `wake` will not be called any more. False when it was. */
  unwait(number: number, wake: Wake): boolean {
    const ticket = this.#tickets.get(number);
    if (ticket?.wake !== wake) return false;
    ticket.wake = null;
    return true;
  }

  /** Nobody wants these requests any more. Who still waits for one is told so. */
  abandon(requestIds: ReadonlySet<string>, nowMs: number): void {
    for (const ticket of this.#tickets.of(requestIds)) {
      this.#drop(ticket);
      ticket.wake?.({
        kind: 'refusal',
        code: 'cancelled',
        message: 'the request was cancelled',
        retryAfterS: null,
      });
    }
    this.drain(nowMs);
  }

  /** How long a wait that begins now may last: until the deadline, at most the longest poll. */
  waitMs(number: number, nowMs: number): number {
    const dueMs = this.#tickets.get(number)?.entry?.dueMs ?? nowMs;
    return Math.min(LIMITS.ticketWaitMs, Math.max(dueMs - nowMs, 1));
  }

  /**
   * Something changed: gives workers to all who can go, in the order of their classes. Cheap when nobody waits. Calls made
   * from inside (by `wake`) are part of the one that runs.
   */
  drain(nowMs: number): void {
    if (this.#tickets.size === 0 || this.#draining) return;
    this.#draining = true;
    this.#held.nowMs = nowMs;
    try {
      this.#forget(nowMs);
      if (this.#waiting === 0) return;
      this.#shed(nowMs);
      for (const queue of this.#queues.values()) {
        for (let entry = queue.next(); entry !== null; entry = queue.next()) {
          this.#waiting--;
          this.#dispatch(queue, entry, nowMs);
        }
      }
    } finally {
      this.#draining = false;
    }
  }

  /** False: nobody ever waits, `hold` need not be asked. */
  get isOn(): boolean {
    return this.#on;
  }

  get hasWaiting(): boolean {
    return this.#waiting > 0;
  }

  get waiting(): number {
    return this.#waiting;
  }

  get document(): PolicyDocument {
    return this.#document;
  }

  /** Everybody who waits goes on waiting, in a class of the new policy. Throws `invalid_request`, changing nothing. */
  setDocument(document: PolicyDocument, nowMs: number): void {
    const profiles = [...this.#queues.values()].map((queue) => ({
      queue,
      profile: policyProfile(document, queue.modelName),
    }));
    this.#document = document;
    this.#on = mayQueue(document);
    for (const { queue, profile } of profiles) queue.reclassify(profile);
    this.drain(nowMs);
  }

  status(): QueueStatus[] {
    return [...this.#queues.values()].flatMap(({ modelName, classes }) =>
      classes.map(({ policy, size, rawIslTokens, cachedTokens, deficit }) => ({
        model: modelName,
        policyClass: policy.name,
        requests: size,
        rawIslTokens,
        cachedTokens,
        deficitTokens: deficit,
      })),
    );
  }

  metrics(): string {
    return this.#on || this.#queues.size > 0 ? this.#metrics.text() : '';
  }

  #queueOf({ name }: Model): ModelQueue {
    let queue = this.#queues.get(name);
    if (queue === undefined) {
      this.#dropUnused();
      queue = new ModelQueue(name, policyProfile(this.#document, name), this.#held);
      this.#queues.set(name, queue);
    }
    return queue;
  }

  /** Queues of models that are gone. */
  #dropUnused(): void {
    for (const [name, queue] of this.#queues) {
      if (queue.size === 0 && this.#options.model(name) === undefined) this.#queues.delete(name);
    }
  }

  #dispatch(queue: ModelQueue, entry: QueueEntry, nowMs: number): void {
    const answer = this.#options.decide(entry.request, entry.enqueuedMs);
    if (answer.kind === 'decision') {
      const its = queue.classes[entry.classIndex]!;
      this.#metrics.dispatched(queue.modelName, its, nowMs - entry.enqueuedMs, costTokens(entry));
    }
    this.#settle(entry, answer);
  }

  #settle(entry: QueueEntry, answer: RouteAnswer): void {
    const ticket = this.#tickets.get(entry.ticket)!;
    ticket.entry = null;
    ticket.answer = answer;
    if (ticket.wake === null) return;
    this.#tickets.close(ticket);
    ticket.wake(answer);
  }

  #isOverdue({ entry }: Ticket<QueueEntry>, nowMs: number): boolean {
    return entry !== null && entry.dueMs <= nowMs;
  }

  #fetch(number: number): RouteAnswer | null {
    const ticket = this.#tickets.get(number);
    if (ticket === undefined || ticket.answer === null) return null;
    this.#tickets.close(ticket);
    return ticket.answer;
  }

  #shed(nowMs: number): void {
    for (const queue of this.#queues.values()) {
      for (const its of queue.classes) this.#shedClass(queue, its, nowMs);
    }
  }

  #shedClass(queue: ModelQueue, its: ClassQueue, nowMs: number): void {
    for (let entry = its.overdue(nowMs); entry !== null; entry = its.overdue(nowMs)) {
      queue.remove(entry);
      this.#waiting--;
      const { name, sloMs } = its.policy;
      this.#metrics.expired.labels(name, 'dispatch').add();
      this.#settle(entry, {
        kind: 'refusal',
        code: 'overloaded',
        message: `The request waited longer than the ${sloMs} ms of policy class '${name}'.`,
        retryAfterS: 1,
        details: {
          policy_class: name,
          stage: 'dispatch',
          slo_ms: sloMs!,
          overdue_ms: Math.max(Math.round(nowMs - entry.dueMs), 1),
        },
      });
    }
  }

  /** Drops tickets whose clients left: their places, or the workers that were chosen for them. */
  #forget(nowMs: number): void {
    this.#tickets.forget(nowMs, (ticket) => this.#drop(ticket));
  }

  #drop(ticket: Ticket<QueueEntry>): void {
    this.#tickets.close(ticket);
    if (ticket.answer?.kind === 'decision') this.#options.release(ticket.answer.reservation);
    if (ticket.entry === null) return;
    const queue = this.#queues.get(ticket.entry.modelName)!;
    const { policy } = queue.classes[ticket.entry.classIndex]!;
    this.#metrics.abandoned.labels(queue.modelName, policy.name).add();
    queue.remove(ticket.entry);
    this.#waiting--;
  }

  #rejected(model: Model, policy: PolicyClass, reached: Reached): RouteRefusal {
    const { kind, current, limit } = reached;
    this.#metrics.rejected.labels(model.name, policy.name, kind).add();
    return {
      kind: 'refusal',
      code: 'overloaded',
      message: `The queue of policy class '${policy.name}' is full: ${kind} ${current}, limit ${limit}.`,
      retryAfterS: 1,
      details: { policy_class: policy.name, limit_kind: kind, current, limit },
    };
  }

  /** The bound of all queues together. */
  #full(): Reached | null {
    if (this.#waiting < LIMITS.queuedRequests) return null;
    return { kind: 'requests', current: this.#waiting, limit: LIMITS.queuedRequests };
  }
}

/** Workers of one model differ little, and only the order counts. */
const prefillMs = ({ timing, worker }: Rank, tokens: number) =>
  timing.prefillMs(Math.max(tokens, 1), worker.registration.maxNumBatchedTokens);

interface Reached {
  kind: QueueLimitKind;
  current: number;
  limit: number;
}

/** Requests that the same workers may serve wait in one lane. */
function laneOf(request: RouteRequest): string {
  const { pinned, dpRank, role, allowedWorkerIds, requiredTaints, lora } = request;
  const wishes = [pinned, dpRank, role, allowedWorkerIds, requiredTaints, lora];
  return wishes.every((wish) => wish === undefined) ? '' : JSON.stringify(wishes);
}

/** Of an earlier life of the object, or dropped: the request has to be routed anew. */
function unknownTicket(number: number): RouteRefusal {
  return { kind: 'refusal', code: 'not_found', message: `ticket ${number} is unknown`, retryAfterS: null };
}

/** Has a class of some model a busy threshold? Throws `invalid_request` when the document does not fit together. */
function mayQueue(document: PolicyDocument): boolean {
  const names = ['', ...Object.keys(document.models)];
  return names.map((name) => policyProfile(document, name)).some(({ queues }) => queues);
}
