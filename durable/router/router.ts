/**
 * The Router object's core: who serves, what is in flight, what is cached where, and the decision. Pure: clock and random
 * are arguments, the indexes come from outside, nothing awaits, so every call is one exact turn.
 *
 * `route` is the only call on the request path; workers come and go by `join`, `lose`, `leave`; their reports come by
 * `applyBatch`; `sweep` ends leases and reservations that ran out.
 */

import type { DiscoveryEntry, ModelEntry } from '../directory/rpc.ts';
import type { Fleet } from '../planner/fleet.ts';
import type { Metrics } from '../planner/metrics.ts';
import { registeredFleet } from '../planner/registered.ts';
import type { Clock } from '../runtime/clock.ts';
import { toStatorError } from '../runtime/errors.ts';
import type { ActiveLoad } from '../runtime/event-plane/active-load.ts';
import { instanceHex } from '../runtime/event-plane/instance.ts';
import type { RouterEvent } from '../runtime/event-plane/router-event.ts';
import { LIMITS } from '../runtime/limits.ts';
import type { Logger } from '../runtime/log.ts';
import { ActiveSequences } from './active-sequences.ts';
import type { BatchProgress, BatchReader } from './batch-reader.ts';
import { HASH_BYTES, type Indexes } from './blocks.ts';
import { Decisions } from './decisions.ts';
import { DemandMeter } from './demand.ts';
import { refusal } from './eligibility.ts';
import type { PlaneNote } from './event-plane/event-source.ts';
import { checkChange } from './kv-changes.ts';
import type { Ask } from './kv-events.ts';
import type { Policy } from './policy.ts';
import { instanceEntries, modelEntries } from './publication.ts';
import { bestCachedTokens } from './queue/cached-tokens.ts';
import { type PolicyDocument, parsePolicyDocument } from './queue/policy-document.ts';
import { RequestQueue } from './queue/request-queue.ts';
import type { Wake } from './queue/tickets.ts';
import { rankStream } from './rank-stream.ts';
import type { Registration } from './registration.ts';
import { RouterMetrics } from './router-metrics.ts';
import type {
  BusyThresholds,
  DisaggSettings,
  RouteAnswer,
  RouteRefusal,
  RouteRequest,
  RouterStatus,
} from './rpc.ts';
import { SleepingModels } from './sleep/sleeping-models.ts';
import { WakeRoom } from './sleep/wake-room.ts';
import { type SnapshotNote, type SnapshotOptions, type SnapshotPiece, Snapshots } from './snapshots.ts';
import { routerStatus } from './status.ts';
import { type Model, type Rank, type Worker, Workers } from './workers.ts';

/** The way back to a worker. */
export interface WorkerLink {
  ask(dpRank: number, ask: Ask): void;
  clearKv(): void;
  detach(why: 'replaced' | 'superseded' | 'lease-ended'): void;
}

export interface RouterOptions {
  policy: Policy;
  clock: Clock;
  indexes: Indexes;
  log: Logger;
  leaseMs: number;
  metricsPrefix: string;
  /** Its name in metrics; absent: none. */
  namespace?: string;
  /** A planner looks at what engines take for their passes. */
  keepsPasses?: boolean;
  /** Absent: nothing is kept on disk. */
  snapshots?: SnapshotOptions;
  /** Absent: no queue. */
  queuePolicy?: PolicyDocument;
  /** Absent: a model without workers is gone. */
  sleep?: SleepOptions;
  /** How long a ticket lives that nobody asks for; absent: `LIMITS.ticketIdleMs`. */
  ticketIdleMs?: number;
  /** The set of models or instances changed: the directory must hear of it. */
  changed: () => void;
  /** A worker's socket is gone, in order or not. It may come back. */
  disconnected?: (worker: Worker) => void;
}

export interface SleepOptions {
  /** Most requests that wait for a worker of a model that has none, and how long one waits. */
  most: number;
  timeoutMs: number;
  /** A worker serves again. */
  woke: () => void;
}

/** Phases of RequestProgress (fleet.proto). */
const PHASE = { accepted: 1, firstToken: 2, growth: 3, end: 4 } as const;

export class RouterCore {
  /** ≥ 1; another one after every start. */
  readonly routerBoot: number;
  readonly leaseMs: number;
  readonly heartbeatMs: number;
  /** Workers are to tell the passes of their engines. */
  readonly wantsPasses: boolean;
  /** Version of the directory that includes what this router published; goes with every decision. */
  directoryVersion = 0;

  readonly #options: RouterOptions;
  readonly #workers: Workers;
  readonly #sequences: ActiveSequences;
  readonly #metrics: RouterMetrics;
  readonly #demand: DemandMeter;
  readonly #decisions: Decisions;
  readonly #queue: RequestQueue;
  readonly #links = new Map<Worker, WorkerLink>();
  readonly #snapshots: Snapshots | null;
  /** Null: a model without workers is gone. */
  readonly #sleep: { models: SleepingModels; room: WakeRoom } | null;
  #planeBehind = false;

  constructor(options: RouterOptions) {
    const { policy, clock, indexes, leaseMs, metricsPrefix } = options;
    const u32 = () => Math.floor(policy.random() * 0x1_0000_0000);
    this.#options = options;
    this.routerBoot = u32() || 1;
    this.leaseMs = leaseMs;
    this.heartbeatMs = Math.max(1, Math.min(LIMITS.heartbeatMs, Math.floor(leaseMs / 4)));
    this.#workers = new Workers(indexes, policy);
    const { trackOutputBlocks } = policy;
    const { namespace = '', keepsPasses = false } = options;
    this.#demand = new DemandMeter({ prefix: metricsPrefix, namespace, passes: keepsPasses });
    this.wantsPasses = keepsPasses;
    this.#sequences = new ActiveSequences({ firstReservation: u32(), trackOutputBlocks, clock });
    const inFlight = () => this.#sequences.size;
    this.#metrics = new RouterMetrics({ prefix: metricsPrefix, workers: this.#workers, inFlight });
    this.#decisions = new Decisions({
      policy,
      issuer: this,
      clock,
      sequences: this.#sequences,
      metrics: this.#metrics,
    });
    this.#queue = new RequestQueue({
      document: options.queuePolicy ?? parsePolicyDocument({}),
      metricsPrefix,
      firstTicket: u32() & ~1,
      ticketIdleMs: options.ticketIdleMs ?? LIMITS.ticketIdleMs,
      model: (name) => this.#workers.model(name),
      eligible: (model, request) => this.#decisions.eligible(model, request),
      cachedTokens: (model, request, ranks) => bestCachedTokens(model, request, ranks, policy),
      choose: (model, request, nowMs) => this.#decisions.choose(model, request, nowMs),
      decide: (request, enqueuedMs) => this.#decideQueued(request, enqueuedMs),
      release: (reservation) => this.#sequences.free(reservation),
    });
    this.#sleep = options.sleep
      ? { models: new SleepingModels(), room: this.#wakeRoom(options.sleep, u32() | 1) }
      : null;
    const note = (what: SnapshotNote) => this.#metrics.snapshots.labels(what).add();
    const ask = (rank: Rank, piece: number) => this.#ask(rank, { kind: 'snapshot', piece });
    this.#snapshots = options.snapshots
      ? new Snapshots(options.snapshots, this.#workers, { note, ask })
      : null;
  }

  /** Chooses a worker and counts the request on it. Refusals are values; nothing is counted then. */
  route(request: RouteRequest): RouteAnswer {
    if (request.release !== undefined) this.#sequences.free(request.release);
    const model = this.#workers.model(request.model);
    const asleep = this.#sleep === null ? null : this.#heldAsleep(this.#sleep, model, request);
    if (asleep !== null) return asleep;
    if (!model) {
      return this.#refused(refusal('model_not_found', `model ${request.model} is not served here`));
    }
    const blocks = request.blockHashes.length / HASH_BYTES;
    if (!(blocks * model.blockSizeTokens <= request.promptTokens && Number.isInteger(blocks))) {
      return this.#refused(refusal('invalid_request', 'block hashes do not fit the prompt tokens'));
    }
    // A further attempt and a question are no new demand.
    if (request.release === undefined && !request.queryOnly) this.#demand.arrived(request.promptTokens);
    const nowMs = this.#options.clock.nowMs();
    const held = this.#queue.isOn ? this.#queue.hold(model, request, nowMs) : null;
    const answer =
      held !== null && 'kind' in held
        ? held
        : this.#decisions.take(held ?? this.#decisions.choose(model, request, nowMs), request, nowMs);
    // What the attempt before had held is for others, unless this one took it.
    if (request.release !== undefined) this.#queue.drain(nowMs);
    return answer;
  }

  /** Its turn has come; its model may have gone meanwhile. */
  #decideQueued(request: RouteRequest, enqueuedMs: number): RouteAnswer {
    const model = this.#workers.model(request.model);
    // Its last worker went to sleep while it stood in the queue.
    const asleep = this.#sleep === null ? null : this.#heldAsleep(this.#sleep, model, request);
    if (asleep !== null) return asleep;
    const nowMs = this.#options.clock.nowMs();
    if (model) {
      const choice = this.#decisions.choose(model, request, nowMs);
      return this.#decisions.take(choice, request, nowMs, enqueuedMs);
    }
    return this.#refused(refusal('no_workers', `no worker serves model ${request.model} any more`));
  }

  /** Null: somebody serves its model, or it is not one that wakes, or nobody who wakes could be the one that it wants. */
  #heldAsleep(
    { models, room }: { models: SleepingModels; room: WakeRoom },
    model: Model | undefined,
    request: RouteRequest,
  ): RouteAnswer | null {
    if (model !== undefined && !isAsleep(model)) return null;
    const { allowedWorkerIds, asleep, pinned, prefillPinned, queryOnly } = request;
    const maker = asleep ?? models.card(request.model);
    if (maker === null || pinned !== undefined || prefillPinned !== undefined) return null;
    if (allowedWorkerIds !== undefined || queryOnly) return null;
    const { tokenizerSha256, blockSizeTokens } = maker;
    const answer = room.hold(request, { tokenizerSha256, blockSizeTokens }, this.#options.clock.nowMs());
    return answer.kind === 'refusal' ? this.#refused(answer) : answer;
  }

  #wakeRoom({ most, timeoutMs }: SleepOptions, firstTicket: number): WakeRoom {
    return new WakeRoom({
      firstTicket,
      ticketIdleMs: this.#options.ticketIdleMs ?? LIMITS.ticketIdleMs,
      most,
      timeoutMs,
      serves: (name) => {
        const model = this.#workers.model(name);
        return model === undefined || isAsleep(model) ? null : model.card;
      },
      route: (request) => this.route(request),
      release: (reservation) => this.#sequences.free(reservation),
    });
  }

  /** Requests wait for a worker of a model that sleeps. */
  get isWanted(): boolean {
    return this.#sleep?.room.hasWaiting ?? false;
  }

  /** Nobody will serve them: whoever waits is told why, and who comes within the next `restMs`. */
  turnAway(why: string, restMs: number): void {
    this.#sleep?.room.turnAway(why, restMs, this.#options.clock.nowMs());
  }

  /** Idempotent. */
  release(reservation: number): void {
    if (this.#sequences.free(reservation)) this.#queue.drain(this.#options.clock.nowMs());
  }

  /** Requests that wait and that nobody wants any more give their places back. */
  abandon(requestIds: readonly string[]): void {
    this.#queue.abandon(new Set(requestIds), this.#options.clock.nowMs());
    this.#sleep?.room.abandon(new Set(requestIds));
  }

  /** A ticket's answer, or null: then `wake` is called with it in the turn that decides (queue/request-queue.ts). */
  wait(ticket: number, wake: Wake): RouteAnswer | null {
    const nowMs = this.#options.clock.nowMs();
    const room = this.#roomOf(ticket);
    return room ? room.wait(ticket, wake, nowMs) : this.#queue.wait(ticket, wake, nowMs);
  }

  /** False: `wake` was called. */
  unwait(ticket: number, wake: Wake): boolean {
    return this.#roomOf(ticket)?.unwait(ticket, wake) ?? this.#queue.unwait(ticket, wake);
  }

  /** How long to wait for a ticket before asking again. */
  waitMs(ticket: number): number {
    const nowMs = this.#options.clock.nowMs();
    const room = this.#roomOf(ticket);
    return room ? room.waitMs(ticket, LIMITS.ticketWaitMs, nowMs) : this.#queue.waitMs(ticket, nowMs);
  }

  #roomOf(ticket: number): WakeRoom | null {
    return this.#sleep?.room.has(ticket) ? this.#sleep.room : null;
  }

  /** Whether anybody may have to wait; false: policy classes mean nothing. */
  get queues(): boolean {
    return this.#queue.isOn;
  }

  get hasWaiting(): boolean {
    return this.#queue.hasWaiting || (this.#sleep !== null && this.#sleep.room.size > 0);
  }

  get queuePolicy(): PolicyDocument {
    return this.#queue.document;
  }

  /** Throws `invalid_request`, changing nothing. */
  setQueuePolicy(document: PolicyDocument): void {
    this.#queue.setDocument(document, this.#options.clock.nowMs());
  }

  /** Throws why the worker may not join; changes nothing. */
  checkAdmission(registration: Registration): void {
    this.#workers.admit(registration);
  }

  /** An admitted worker joins, or comes back on a new socket with everything it had. */
  join(registration: Registration, link: WorkerLink, nowMs: number): Worker {
    const present = this.#workers.worker(registration.instanceId);
    if (present && JSON.stringify(present.registration) === JSON.stringify(registration)) {
      this.#rejoin(present, link, nowMs);
      this.#admit(present, nowMs);
      return present;
    }
    if (present) this.#drop(present, 'superseded');
    const worker = this.#workers.add(registration, nowMs);
    this.#links.set(worker, link);
    if (registration.publishesKvEvents && this.#options.policy.useKvEvents) {
      for (const rank of worker.ranks) {
        const ask = (what: Ask) => this.#ask(rank, what);
        rank.stream = rankStream(rank, { metrics: this.#metrics, ask });
        const snapshotAt = this.#snapshots?.restore(rank) ?? null;
        if (snapshotAt === null) rank.stream.begin(nowMs);
        else rank.stream.beginFrom(snapshotAt, nowMs);
      }
    }
    this.#demand.served(this.#workers, nowMs);
    this.#log('worker joined', worker);
    this.#options.changed();
    this.#admit(worker, nowMs);
    return worker;
  }

  /** Somebody serves (again): whoever waited for that may go. */
  #admit({ registration }: Worker, nowMs: number): void {
    this.#sleep?.models.remember(registration);
    this.#queue.drain(nowMs);
    this.#sleep?.room.admit(nowMs);
    if (this.#sleep !== null) this.#options.sleep?.woke();
  }

  /** The worker's socket broke: it keeps what it has until its lease ends. */
  lose(worker: Worker, link: WorkerLink): void {
    if (this.#links.get(worker) !== link) return;
    this.#links.delete(worker);
    if (worker.phase === 'serving') this.#workers.setPhase(worker, 'lost');
    this.#demand.served(this.#workers, this.#options.clock.nowMs());
    this.#log('worker lost its socket', worker);
    this.#options.changed();
    this.#options.disconnected?.(worker);
    this.#queue.drain(this.#options.clock.nowMs());
  }

  /** The worker closed its socket in order: the lease ends at once. */
  leave(worker: Worker, link: WorkerLink, nowMs: number): void {
    if (this.#links.get(worker) !== link) return;
    this.#drop(worker, null);
    this.#queue.drain(nowMs);
  }

  /** Refuses new work from now on. */
  drain(worker: Worker): void {
    if (worker.phase === 'draining') return;
    this.#workers.setPhase(worker, 'draining');
    this.#demand.served(this.#workers, this.#options.clock.nowMs());
    this.#log('worker drains', worker);
    this.#options.changed();
    this.#queue.drain(this.#options.clock.nowMs());
  }

  /** A checked batch: every dp rank exists, every hash array has whole hashes. */
  applyBatch(worker: Worker, batch: BatchReader, nowMs: number): void {
    worker.lastFrameMs = nowMs;
    this.#metrics.frames.add();
    this.#snapshots?.count(batch.events.length);
    for (const { eventId, dpRank, change } of batch.events) {
      worker.ranks[dpRank]!.stream?.offer(eventId, change, nowMs);
    }
    for (let i = 0; i < batch.progressCount; i++) this.#progress(worker, batch.progress[i]!, nowMs);
    if (batch.load) {
      const { dpRank, passes, ...load } = batch.load;
      const rank = Object.assign(worker.ranks[dpRank]!, load);
      this.#demand.passed(rank, passes);
    }
    this.#queue.drain(nowMs);
  }

  /** What the event plane brings (`event-plane/`) of a worker that is here. False: it is not. Throws `invalid_frame`. */
  applyEvent({ workerId, dpRank, eventId, change }: RouterEvent, nowMs: number): boolean {
    const rank = this.#workers.worker(instanceHex(workerId))?.ranks[dpRank];
    if (!rank) return false;
    checkChange(change);
    this.#snapshots?.count(1);
    rank.stream?.offer(eventId, change, nowMs);
    return true;
  }

  applyLoad({ workerId, dpRank, ...said }: ActiveLoad, nowMs: number): boolean {
    const rank = this.#workers.worker(instanceHex(workerId))?.ranks[dpRank];
    if (!rank) return false;
    Object.assign(rank, said);
    this.#queue.drain(nowMs);
    return true;
  }

  /** Snapshots are being read. */
  get restores(): boolean {
    for (const { ranks } of this.#workers) {
      if (ranks.some(({ stream }) => stream?.phase === 'restore')) return true;
    }
    return false;
  }

  planeNote(what: PlaneNote, count: number): void {
    this.#metrics.eventPlane.labels(what).add(count);
  }

  /** While a kept stream of events is read, what is missing may be in it: workers are asked when it has been. */
  planeBehind(isBehind: boolean, nowMs: number): void {
    if (this.#planeBehind === isBehind) return;
    this.#planeBehind = isBehind;
    if (isBehind) return;
    for (const { ranks } of this.#workers) {
      for (const { stream } of ranks) if (stream?.phase === 'resend') stream.resume(nowMs);
    }
  }

  /** A connection was refused or ended for what it sent. */
  rejected(code: string, message: string, worker: Worker | null): void {
    this.#metrics.rejectedFrames.labels(code).add();
    this.#options.log.warn('fleet connection rejected', {
      code,
      reason: message,
      instance: worker?.instanceId,
    });
  }

  /** Ends leases, reservations and stale requests that ran out, and asks again for KV events that did not come. */
  sweep(nowMs: number): void {
    for (const worker of [...this.#workers]) {
      if (nowMs - worker.lastFrameMs > this.leaseMs) this.#drop(worker, 'lease-ended');
      else for (const { stream } of worker.ranks) stream?.tick(nowMs);
    }
    this.#snapshots?.sweep();
    for (const { index } of this.#workers.models()) {
      for (let steps = 0; steps < LIMITS.indexSweepSteps && index.sweep(); ) steps++;
    }
    const { expired, stale } = this.#sequences.sweep(nowMs);
    this.#metrics.expired.add(expired);
    this.#metrics.stale.add(stale);
    this.#queue.drain(nowMs);
  }

  /** A worker sent a piece of a dump to keep. */
  snapshotPiece(rank: Rank, piece: SnapshotPiece): void {
    this.#snapshots?.receive(rank, piece);
  }

  /** Reads one chunk of a snapshot or asks for one; milliseconds until the next, or null when there is none. */
  snapshotTurn(nowMs: number): number | null {
    return this.#snapshots?.turn(nowMs) ?? null;
  }

  /** Tells every connected worker to drop its cache; returns how many. */
  clearKvBlocks(): number {
    for (const link of this.#links.values()) link.clearKv();
    return this.#links.size;
  }

  get workerCount(): number {
    return this.#workers.size;
  }

  models(namespace: string): ModelEntry[] {
    const present = modelEntries(namespace, this.#workers);
    return this.#sleep === null ? present : this.#sleep.models.entries(namespace, present);
  }

  /** The endpoints of those that can be called, for discovery. */
  instances(namespace: string): DiscoveryEntry[] {
    return instanceEntries(namespace, this.#workers);
  }

  status(): RouterStatus {
    const { routerBoot } = this;
    const inFlight = this.#sequences.size;
    const { mode } = this.#options.policy;
    const sleeping = this.models('').filter((entry) => entry.sleeping);
    return routerStatus(this.#workers, {
      routerBoot,
      inFlight,
      mode,
      queue: this.#queue.status(),
      sleeping: sleeping.map(({ name }) => name),
      held: this.#sleep?.room.size ?? 0,
    });
  }

  /** What a planner reads: what came and became of it, and who serves. */
  demand(): { metrics: Metrics; registered: Fleet } {
    const metrics = this.#demand.read(this.#workers, this.#now());
    return { metrics, registered: registeredFleet(this.#workers) };
  }

  #now(): { nowMs: number; waiting: number; inFlight: number } {
    const nowMs = this.#options.clock.nowMs();
    const held = this.#sleep?.room.size ?? 0;
    const waiting = this.#sequences.waiting + this.#queue.waiting + held;
    return { nowMs, waiting, inFlight: this.#sequences.size };
  }

  busyThresholds(name: string, change: Partial<BusyThresholds>): BusyThresholds | null {
    const model = this.#workers.model(name);
    return model ? this.#decisions.overload.change(model.name, change) : null;
  }

  disagg(name: string, change: Partial<DisaggSettings>): DisaggSettings | null {
    const model = this.#workers.model(name);
    return model ? this.#decisions.disaggregation.change(model.name, change) : null;
  }

  metrics(): string {
    return this.#metrics.text() + this.#queue.metrics() + this.#demand.text(this.#workers, this.#now());
  }

  /** Gives the indexes' memory back; connections that are still there speak for nobody from now on. */
  dispose(): void {
    this.#links.clear();
    this.#workers.dispose();
  }

  #rejoin(worker: Worker, link: WorkerLink, nowMs: number): void {
    this.#links.get(worker)?.detach('replaced');
    this.#links.set(worker, link);
    worker.lastFrameMs = nowMs;
    if (worker.phase === 'lost') this.#workers.setPhase(worker, 'serving');
    this.#demand.served(this.#workers, nowMs);
    for (const { stream } of worker.ranks) stream?.resume(nowMs);
    this.#log('worker is back', worker);
    this.#options.changed();
  }

  #drop(worker: Worker, why: 'superseded' | 'lease-ended' | null): void {
    const link = this.#links.get(worker);
    this.#links.delete(worker);
    const freed = this.#sequences.freeWorker(worker);
    this.#workers.remove(worker);
    this.#demand.served(this.#workers, this.#options.clock.nowMs());
    if (why) link?.detach(why);
    this.#log('worker left', worker, { why: why ?? 'closed', freed });
    if (link) this.#options.disconnected?.(worker);
    this.#options.changed();
  }

  #progress(worker: Worker, report: BatchProgress, nowMs: number): void {
    const entry = this.#sequences.get(report.reservation);
    if (entry?.rank.worker !== worker) {
      this.#metrics.ignoredProgress.add();
      return;
    }
    // Of a prompt for another worker that one tells, too, and its client waits for that.
    if (report.phase >= PHASE.firstToken && entry.phase !== 'decoding' && entry.prefillFor === 0) {
      const metrics = this.#metrics.model(worker.model);
      if (report.ttftMs > 0) metrics.timeToFirstToken.observe(report.ttftMs / 1000);
      metrics.cachedTokens.add(report.cachedTokens);
      if (entry.arrivedMs >= 0)
        this.#demand.firstToken(nowMs - entry.arrivedMs, entry.promptTokens - report.cachedTokens);
    }
    if (report.phase === PHASE.accepted) this.#sequences.accepted(entry, nowMs);
    else if (report.phase === PHASE.firstToken) this.#sequences.firstToken(entry, nowMs, report.ttftMs);
    else if (report.phase === PHASE.growth) this.#sequences.growth(entry, report.outputTokens, nowMs);
    else {
      this.#sequences.ended(entry, report, nowMs);
      if (entry.prefillFor !== 0) return;
      this.#metrics.ended.labels(report.finishReason).add();
      const { outputTokens, totalMs, ttftMs, finishReason } = report;
      if (outputTokens > 0 && (finishReason === 'stop' || finishReason === 'length'))
        this.#demand.answered(outputTokens, totalMs - ttftMs);
    }
  }

  /** A socket that breaks while we ask is found by its close event. */
  #ask(rank: Rank, ask: Ask): void {
    if (this.#planeBehind && ask.kind === 'resend') return;
    try {
      this.#links.get(rank.worker)?.ask(rank.dpRank, ask);
    } catch (thrown) {
      this.#log('worker cannot be asked', rank.worker, { error: toStatorError(thrown) });
    }
  }

  #refused(answer: RouteRefusal): RouteRefusal {
    this.#metrics.refusals.labels(answer.code).add();
    return answer;
  }

  #log(message: string, { instanceId, registration, model }: Worker, fields = {}): void {
    const { epoch } = registration;
    this.#options.log.info(message, { instance: instanceId, epoch, model: model.name, ...fields });
  }
}

/** Nobody takes requests for it. */
const isAsleep = ({ connected, disconnected }: Model): boolean =>
  connected.length === 0 && disconnected.length === 0;
